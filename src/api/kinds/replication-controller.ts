/** ReplicationController (core/v1): what ReplicaSet was before there were Deployments; selects by plain labels. */
import { required, type FieldError } from '../../machinery/field-error.ts';
import { labelsText } from '../columns.ts';
import { defineKind } from '../define-kind.ts';
import { nonNegative } from '../field-checks.ts';
import type { Kind } from '../kind.ts';
import * as warn from '../warnings.ts';
import { templateWarnings } from '../pods/warnings.ts';
import { defaultPodTemplate } from '../pods/defaults.ts';
import { validateServingTemplate } from '../pods/validate-template.ts';
import type { V1ReplicationController, V1ReplicationControllerSpec } from '../types.ts';
import { replicating } from './replica-counts.ts';

export type ReplicationController = V1ReplicationController;

export const ReplicationController: Kind<V1ReplicationController> = defineKind<V1ReplicationController>({
  kind: 'ReplicationController',
  resource: 'replicationcontrollers',
  model: 'V1ReplicationController',
  shortNames: ['rc'],
  ...replicating<V1ReplicationController>(({ spec }) => labelsText(spec.selector)),
  defaults({ metadata, spec, status }) {
    const labels = spec.template?.metadata?.labels;
    if (labels !== undefined && Object.keys(labels).length > 0) {
      if (Object.keys(spec.selector ?? {}).length === 0) spec.selector = { ...labels };
      if (Object.keys(metadata.labels ?? {}).length === 0) metadata.labels = { ...labels };
    }
    spec.replicas ??= 1;
    if (spec.template !== undefined) defaultPodTemplate(spec.template);
    status.replicas ??= 0;
  },
  warnings: ({ metadata, spec }, old) => [
    ...(old === undefined ? warn.hostName(metadata.name, warn.inPodNames) : []),
    ...templateWarnings('spec.template', spec.template),
  ],
  validate: ({ spec }) => validateSpec('spec', spec),
});

function validateSpec(field: string, spec: V1ReplicationControllerSpec): FieldError[] {
  const errors = nonNegative(`${field}.minReadySeconds`, spec.minReadySeconds);
  if (Object.keys(spec.selector ?? {}).length === 0) errors.push(required(`${field}.selector`));
  errors.push(...nonNegative(`${field}.replicas`, spec.replicas));
  if (spec.template === undefined) return [...errors, required(`${field}.template`)];
  return [...errors, ...validateServingTemplate(`${field}.template`, spec.template, { matchLabels: spec.selector ?? {} }, 'ReplicationController')];
}
