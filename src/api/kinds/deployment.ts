/** Deployment (apps/v1): keeps so many pods of a template, and moves them to a new template step by step. */
import { forbiddenField, invalidValue, notSupported, required, type FieldError } from '../../machinery/field-error.ts';
import { ageColumn, column, containerColumns, nameColumn, selectorText } from '../columns.ts';
import { defineKind, scaleSubresource, statusSubresource, workloadScale } from '../define-kind.ts';
import { atMostHundredPercent, immutable, isEmptySelector, labelSelector, nonNegative, nonNegativeIntOrPercent } from '../field-checks.ts';
import type { Kind } from '../kind.ts';
import * as warn from '../warnings.ts';
import { templateWarnings } from '../pods/warnings.ts';
import { defaultPodTemplate } from '../pods/defaults.ts';
import { validateServingTemplate } from '../pods/validate-template.ts';
import type { V1Deployment, V1DeploymentSpec, V1DeploymentStatus, V1DeploymentStrategy } from '../types.ts';

export type Deployment = V1Deployment;

export const Deployment: Kind<V1Deployment> = defineKind<V1Deployment>({
  group: 'apps',
  kind: 'Deployment',
  resource: 'deployments',
  model: 'V1Deployment',
  shortNames: ['deploy'],
  categories: ['all'],
  generation: true,
  subresources: { scale: scaleSubresource, status: statusSubresource },
  scale: workloadScale,
  defaults({ spec }) {
    spec.replicas ??= 1;
    spec.revisionHistoryLimit ??= 10;
    spec.progressDeadlineSeconds ??= 600;
    spec.strategy ??= {};
    spec.strategy.type ||= 'RollingUpdate';
    if (spec.strategy.type === 'RollingUpdate') {
      spec.strategy.rollingUpdate ??= {};
      spec.strategy.rollingUpdate.maxUnavailable ??= '25%';
      spec.strategy.rollingUpdate.maxSurge ??= '25%';
    }
    spec.template ??= {};
    defaultPodTemplate(spec.template);
  },
  validate: ({ spec }, old) => [
    ...validateSpec('spec', spec),
    ...(old === undefined ? [] : immutable('spec.selector', spec.selector, old.spec.selector)),
  ],
  warnings: ({ metadata, spec }, old) => [
    ...(old === undefined ? warn.hostName(metadata.name, warn.inPodNames) : []),
    ...templateWarnings('spec.template', spec.template),
  ],
  validateStatus: ({ status }) => validateStatus('status', status),
  columns: [
    nameColumn,
    column('Ready', 'Pods that are ready, of those wanted.', ({ spec, status }) => `${status.readyReplicas ?? 0}/${spec.replicas ?? 1}`),
    column('Up-to-date', 'Pods made from the newest template.', ({ status }) => status.updatedReplicas ?? 0),
    column('Available', 'Pods that have been ready for long enough.', ({ status }) => status.availableReplicas ?? 0),
    ageColumn,
    ...containerColumns<V1Deployment>(({ spec }) => spec.template),
    column('Selector', 'How the Deployment finds its pods.', ({ spec }) => selectorText(spec.selector), { wide: true }),
  ],
});

function validateSpec(field: string, spec: V1DeploymentSpec): FieldError[] {
  const errors = nonNegative(`${field}.replicas`, spec.replicas);
  if (spec.selector === undefined) errors.push(required(`${field}.selector`));
  else {
    errors.push(...labelSelector(`${field}.selector`, spec.selector));
    if (isEmptySelector(spec.selector)) errors.push(invalidValue(`${field}.selector`, spec.selector, 'empty selector is invalid for deployment'));
  }
  errors.push(
    ...validateServingTemplate(`${field}.template`, spec.template, spec.selector, 'ReplicaSet'),
    ...validateStrategy(`${field}.strategy`, spec.strategy ?? {}),
    ...nonNegative(`${field}.minReadySeconds`, spec.minReadySeconds),
    ...nonNegative(`${field}.revisionHistoryLimit`, spec.revisionHistoryLimit),
    ...nonNegative(`${field}.progressDeadlineSeconds`, spec.progressDeadlineSeconds),
  );
  const deadline = spec.progressDeadlineSeconds;
  if (deadline !== undefined && deadline <= (spec.minReadySeconds ?? 0)) {
    errors.push(invalidValue(`${field}.progressDeadlineSeconds`, deadline, 'must be greater than minReadySeconds'));
  }
  return errors;
}

function validateStrategy(field: string, strategy: V1DeploymentStrategy): FieldError[] {
  const rolling = strategy.rollingUpdate;
  switch (strategy.type) {
    case 'Recreate':
      return rolling === undefined ? [] : [forbiddenField(`${field}.rollingUpdate`, "may not be specified when strategy `type` is 'Recreate'")];
    case 'RollingUpdate': {
      if (rolling === undefined) return [required(`${field}.rollingUpdate`, 'this should be defaulted and never be nil')];
      const path = `${field}.rollingUpdate`;
      const errors = [
        ...nonNegativeIntOrPercent(`${path}.maxUnavailable`, rolling.maxUnavailable),
        ...nonNegativeIntOrPercent(`${path}.maxSurge`, rolling.maxSurge),
      ];
      if (isZero(rolling.maxUnavailable) && isZero(rolling.maxSurge)) {
        errors.push(invalidValue(`${path}.maxUnavailable`, rolling.maxUnavailable, 'may not be 0 when `maxSurge` is 0'));
      }
      return [...errors, ...atMostHundredPercent(`${path}.maxUnavailable`, rolling.maxUnavailable)];
    }
    default:
      return [notSupported(field, strategy, ['Recreate', 'RollingUpdate'])];
  }
}

function isZero(value: number | string | undefined): boolean {
  return value === 0 || value === '0%';
}

function validateStatus(field: string, status: V1DeploymentStatus): FieldError[] {
  const counts = [
    'observedGeneration',
    'replicas',
    'updatedReplicas',
    'readyReplicas',
    'availableReplicas',
    'unavailableReplicas',
    'collisionCount',
  ] as const;
  const errors = counts.flatMap((count) => nonNegative(`${field}.${count}`, status[count]));
  for (const part of ['updatedReplicas', 'readyReplicas', 'availableReplicas'] as const) {
    if ((status[part] ?? 0) > (status.replicas ?? 0))
      errors.push(invalidValue(`${field}.${part}`, status[part], 'cannot be greater than status.replicas'));
  }
  if ((status.availableReplicas ?? 0) > (status.readyReplicas ?? 0)) {
    errors.push(invalidValue(`${field}.availableReplicas`, status.availableReplicas, 'cannot be greater than readyReplicas'));
  }
  return errors;
}
