/** ReplicationController (core/v1): what ReplicaSet was before there were Deployments; selects by plain labels. */
import { required, type FieldError } from '../../machinery/field-error.ts';
import { ageColumn, column, containerColumns, labelsText, nameColumn } from '../columns.ts';
import { defineKind, scaleSubresource, statusSubresource, workloadScale } from '../define-kind.ts';
import { nonNegative } from '../field-checks.ts';
import type { Kind } from '../kind.ts';
import { defaultPodTemplate } from '../pods/defaults.ts';
import { validateServingTemplate } from '../pods/validate-template.ts';
import type { V1ReplicationController, V1ReplicationControllerSpec } from '../types.ts';
import { validateReplicaCounts } from './replica-counts.ts';

export type ReplicationController = V1ReplicationController;

export const ReplicationController: Kind<V1ReplicationController> = defineKind<V1ReplicationController>({
  kind: 'ReplicationController',
  resource: 'replicationcontrollers',
  model: 'V1ReplicationController',
  shortNames: ['rc'],
  categories: ['all'],
  generation: true,
  subresources: { scale: scaleSubresource, status: statusSubresource },
  scale: workloadScale,
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
  prepareForCreate(controller) {
    controller.status = { replicas: 0 };
  },
  validate: ({ spec }) => validateSpec('spec', spec),
  validateStatus: ({ status }) => validateReplicaCounts('status', status),
  selectableFields: { 'status.replicas': ({ status }) => String(status.replicas) },
  columns: [
    nameColumn,
    column('Desired', 'Pods wanted.', ({ spec }) => spec.replicas ?? 1, { type: 'integer' }),
    column('Current', 'Pods there are.', ({ status }) => status.replicas, { type: 'integer' }),
    column('Ready', 'Pods that are ready.', ({ status }) => status.readyReplicas ?? 0, { type: 'integer' }),
    ageColumn,
    ...containerColumns<V1ReplicationController>(({ spec }) => spec.template),
    column('Selector', 'How the controller finds its pods.', ({ spec }) => labelsText(spec.selector), { wide: true }),
  ],
});

function validateSpec(field: string, spec: V1ReplicationControllerSpec): FieldError[] {
  const errors = nonNegative(`${field}.minReadySeconds`, spec.minReadySeconds);
  if (Object.keys(spec.selector ?? {}).length === 0) errors.push(required(`${field}.selector`));
  errors.push(...nonNegative(`${field}.replicas`, spec.replicas));
  if (spec.template === undefined) return [...errors, required(`${field}.template`)];
  return [...errors, ...validateServingTemplate(`${field}.template`, spec.template, { matchLabels: spec.selector ?? {} }, 'ReplicationController')];
}
