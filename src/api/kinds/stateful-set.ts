/** StatefulSet (apps/v1): numbered pods of a template, each with a name and volume claims that stay. */
import { at, forbiddenField, invalidValue, required, type FieldError } from '../../machinery/field-error.ts';
import { clone } from '../../machinery/clone.ts';
import { equal } from '../../machinery/equal.ts';
import { ageColumn, column, containerColumns, nameColumn } from '../columns.ts';
import { defineKind, scaleSubresource, statusSubresource, workloadScale } from '../define-kind.ts';
import { atMostHundredPercent, isEmptySelector, labelSelector, nonNegative, nonNegativeIntOrPercent, requiredOneOf } from '../field-checks.ts';
import type { Kind } from '../kind.ts';
import * as warn from '../warnings.ts';
import { templateWarnings } from '../pods/warnings.ts';
import { defaultPodTemplate } from '../pods/defaults.ts';
import { validateServingTemplate } from '../pods/validate-template.ts';
import type { V1StatefulSet, V1StatefulSetSpec, V1StatefulSetUpdateStrategy } from '../types.ts';
import { defaultClaim } from './claim-spec.ts';
import { validateReplicaCounts } from './replica-counts.ts';

export type StatefulSet = V1StatefulSet;

export const StatefulSet: Kind<V1StatefulSet> = defineKind<V1StatefulSet>({
  group: 'apps',
  kind: 'StatefulSet',
  resource: 'statefulsets',
  model: 'V1StatefulSet',
  shortNames: ['sts'],
  categories: ['all'],
  generation: true,
  subresources: { scale: scaleSubresource, status: statusSubresource },
  scale: workloadScale,
  defaults({ spec, status }) {
    spec.podManagementPolicy ||= 'OrderedReady';
    spec.replicas ??= 1;
    spec.revisionHistoryLimit ??= 10;
    spec.updateStrategy ??= {};
    spec.updateStrategy.type ||= 'RollingUpdate';
    if (spec.updateStrategy.type === 'RollingUpdate') {
      spec.updateStrategy.rollingUpdate ??= {};
      spec.updateStrategy.rollingUpdate.partition ??= 0;
    }
    spec.persistentVolumeClaimRetentionPolicy ??= {};
    spec.persistentVolumeClaimRetentionPolicy.whenDeleted ||= 'Retain';
    spec.persistentVolumeClaimRetentionPolicy.whenScaled ||= 'Retain';
    spec.template ??= {};
    defaultPodTemplate(spec.template);
    for (const claim of spec.volumeClaimTemplates ?? []) {
      if (claim.apiVersion !== 'v1') claim.apiVersion = 'v1';
      if (claim.kind !== 'PersistentVolumeClaim') claim.kind = 'PersistentVolumeClaim';
      defaultClaim(claim);
    }
    status.replicas ??= 0;
    status.availableReplicas ??= 0;
  },
  prepareForCreate(statefulSet) {
    statefulSet.status = { replicas: 0, availableReplicas: 0 };
  },
  validate: ({ spec }, old) => [...validateSpec('spec', spec), ...(old === undefined ? [] : validateChange('spec', spec, old.spec))],
  warnings: ({ metadata, spec }, old) => [
    ...(old === undefined ? warn.hostName(metadata.name, warn.inPodNames) : []),
    ...templateWarnings('spec.template', spec.template),
    ...(spec.volumeClaimTemplates ?? []).flatMap((claim, index) => {
      const path = at('spec.volumeClaimTemplates', index);
      return [
        ...warn.formerAnnotations(`${path}.metadata.annotations`, claim.metadata, warn.storageClassAnnotation),
        ...warn.claimSpec(`${path}.spec`, claim.spec),
      ];
    }),
    ...((spec.revisionHistoryLimit ?? 0) < 0
      ? ['spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is recommended']
      : []),
  ],
  validateStatus: ({ status }) => validateReplicaCounts('status', status),
  columns: [
    nameColumn,
    column('Ready', 'Pods that are ready, of those wanted.', ({ spec, status }) => `${status.readyReplicas ?? 0}/${spec.replicas ?? 1}`),
    ageColumn,
    ...containerColumns<V1StatefulSet>(({ spec }) => spec.template),
  ],
});

function validateSpec(field: string, spec: V1StatefulSetSpec): FieldError[] {
  const errors: FieldError[] = [];
  if (spec.podManagementPolicy !== 'OrderedReady' && spec.podManagementPolicy !== 'Parallel') {
    errors.push(invalidValue(`${field}.podManagementPolicy`, spec.podManagementPolicy, "must be 'OrderedReady' or 'Parallel'"));
  }
  const retention = spec.persistentVolumeClaimRetentionPolicy ?? {};
  errors.push(
    ...validateStrategy(`${field}.updateStrategy`, spec.updateStrategy ?? {}),
    ...requiredOneOf(`${field}.persistentVolumeClaimRetentionPolicy.whenDeleted`, retention.whenDeleted, ['Retain', 'Delete']),
    ...requiredOneOf(`${field}.persistentVolumeClaimRetentionPolicy.whenScaled`, retention.whenScaled, ['Retain', 'Delete']),
    ...nonNegative(`${field}.replicas`, spec.replicas),
    ...nonNegative(`${field}.minReadySeconds`, spec.minReadySeconds),
    ...nonNegative(`${field}.ordinals.start`, spec.ordinals?.start),
  );
  if (spec.selector === undefined) errors.push(required(`${field}.selector`));
  else {
    errors.push(...labelSelector(`${field}.selector`, spec.selector));
    if (isEmptySelector(spec.selector)) errors.push(invalidValue(`${field}.selector`, spec.selector, 'empty selector is invalid for statefulset'));
  }
  return [...errors, ...validateServingTemplate(`${field}.template`, withClaims(spec), spec.selector, 'StatefulSet')];
}

/** The template as its pods will have it: containers may mount what the claim templates are named after. */
function withClaims({ template, volumeClaimTemplates = [] }: V1StatefulSetSpec): V1StatefulSetSpec['template'] {
  if (template.spec === undefined || volumeClaimTemplates.length === 0) return template;
  const volumes = template.spec.volumes ?? [];
  const claimed = volumeClaimTemplates
    .map(({ metadata }) => metadata?.name ?? '')
    .filter((name) => name !== '' && !volumes.some((volume) => volume.name === name))
    .map((name) => ({ name, persistentVolumeClaim: { claimName: name } }));
  return { ...template, spec: { ...template.spec, volumes: [...volumes, ...claimed] } };
}

function validateStrategy(field: string, strategy: V1StatefulSetUpdateStrategy): FieldError[] {
  const rolling = strategy.rollingUpdate;
  switch (strategy.type) {
    case 'OnDelete':
      return rolling === undefined ? [] : [invalidValue(`${field}.rollingUpdate`, rolling, "only allowed for updateStrategy 'RollingUpdate'")];
    case 'RollingUpdate':
      return [
        ...nonNegative(`${field}.rollingUpdate.partition`, rolling?.partition),
        ...nonNegativeIntOrPercent(`${field}.rollingUpdate.maxUnavailable`, rolling?.maxUnavailable),
        ...atMostHundredPercent(`${field}.rollingUpdate.maxUnavailable`, rolling?.maxUnavailable),
        ...(rolling?.maxUnavailable === 0 ? [invalidValue(`${field}.rollingUpdate.maxUnavailable`, 0, 'cannot be 0')] : []),
      ];
    default:
      return [invalidValue(field, strategy, "must be 'RollingUpdate' or 'OnDelete'")];
  }
}

const changeable = [
  'replicas',
  'ordinals',
  'template',
  'updateStrategy',
  'revisionHistoryLimit',
  'persistentVolumeClaimRetentionPolicy',
  'minReadySeconds',
] as const;

function validateChange(field: string, spec: V1StatefulSetSpec, old: V1StatefulSetSpec): FieldError[] {
  const same = clone(spec);
  for (const name of changeable) Object.assign(same, { [name]: old[name] });
  if (equal(same, old)) return [];
  const list = `${changeable
    .slice(0, -1)
    .map((name) => `'${name}'`)
    .join(', ')} and '${changeable.at(-1) ?? ''}'`;
  return [forbiddenField(field, `updates to statefulset spec for fields other than ${list} are forbidden`)];
}
