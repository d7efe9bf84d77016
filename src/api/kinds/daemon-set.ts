/** DaemonSet (apps/v1): one pod of a template on every node that fits. */
import { equal } from '../../machinery/equal.ts';
import { invalidValue, notSupported, required, type FieldError } from '../../machinery/field-error.ts';
import { ageColumn, column, containerColumns, labelsText, nameColumn, selectorText } from '../columns.ts';
import { defineKind, statusSubresource } from '../define-kind.ts';
import { atMostHundredPercent, immutable, isEmptySelector, labelSelector, nonNegative, nonNegativeIntOrPercent } from '../field-checks.ts';
import type { Kind } from '../kind.ts';
import { templateWarnings } from '../pods/warnings.ts';
import { defaultPodTemplate } from '../pods/defaults.ts';
import { validateServingTemplate } from '../pods/validate-template.ts';
import type { V1DaemonSet, V1DaemonSetSpec, V1DaemonSetStatus, V1DaemonSetUpdateStrategy } from '../types.ts';

export type DaemonSet = V1DaemonSet;

const noStatus: V1DaemonSetStatus = { currentNumberScheduled: 0, numberMisscheduled: 0, desiredNumberScheduled: 0, numberReady: 0 };

/** Counts changes of the template; still written though deprecated. */
const templateGeneration = 'deprecated.daemonset.template.generation';

export const DaemonSet: Kind<V1DaemonSet> = defineKind<V1DaemonSet>({
  group: 'apps',
  kind: 'DaemonSet',
  resource: 'daemonsets',
  model: 'V1DaemonSet',
  shortNames: ['ds'],
  categories: ['all'],
  generation: true,
  subresources: { status: statusSubresource },
  defaults(daemonSet) {
    const { spec } = daemonSet;
    spec.revisionHistoryLimit ??= 10;
    spec.updateStrategy ??= {};
    spec.updateStrategy.type ||= 'RollingUpdate';
    if (spec.updateStrategy.type === 'RollingUpdate') {
      spec.updateStrategy.rollingUpdate ??= {};
      spec.updateStrategy.rollingUpdate.maxUnavailable ??= 1;
      spec.updateStrategy.rollingUpdate.maxSurge ??= 0;
    }
    spec.template ??= {};
    defaultPodTemplate(spec.template);
    daemonSet.status = { ...noStatus, ...daemonSet.status };
  },
  prepareForCreate(daemonSet) {
    daemonSet.status = { ...noStatus };
    (daemonSet.metadata.annotations ??= {})[templateGeneration] = '1';
  },
  prepareForUpdate({ metadata, spec }, old) {
    const before = Number(old.metadata.annotations?.[templateGeneration] ?? 1);
    (metadata.annotations ??= {})[templateGeneration] = String(equal(spec.template, old.spec.template) ? before : before + 1);
  },
  validate: ({ spec }, old) => [
    ...validateSpec('spec', spec),
    ...(old === undefined ? [] : immutable('spec.selector', spec.selector, old.spec.selector)),
  ],
  warnings: ({ spec }) => templateWarnings('spec.template', spec.template),
  validateStatus: ({ status }) =>
    (
      [
        'currentNumberScheduled',
        'numberMisscheduled',
        'desiredNumberScheduled',
        'numberReady',
        'observedGeneration',
        'updatedNumberScheduled',
        'numberAvailable',
        'numberUnavailable',
        'collisionCount',
      ] as const
    ).flatMap((count) => nonNegative(`status.${count}`, status[count])),
  columns: [
    nameColumn,
    column('Desired', 'Nodes that should run a pod.', ({ status }) => status.desiredNumberScheduled, { type: 'integer' }),
    column('Current', 'Nodes that have a pod and should.', ({ status }) => status.currentNumberScheduled, { type: 'integer' }),
    column('Ready', 'Nodes whose pod is ready.', ({ status }) => status.numberReady, { type: 'integer' }),
    column('Up-to-date', 'Nodes whose pod has the newest template.', ({ status }) => status.updatedNumberScheduled ?? 0, { type: 'integer' }),
    column('Available', 'Nodes whose pod has been ready for long enough.', ({ status }) => status.numberAvailable ?? 0, { type: 'integer' }),
    column('Node Selector', 'Labels a node must have.', ({ spec }) => labelsText(spec.template.spec?.nodeSelector)),
    ageColumn,
    ...containerColumns<V1DaemonSet>(({ spec }) => spec.template),
    column('Selector', 'How the DaemonSet finds its pods.', ({ spec }) => selectorText(spec.selector), { wide: true }),
  ],
});

function validateSpec(field: string, spec: V1DaemonSetSpec): FieldError[] {
  const errors = labelSelector(`${field}.selector`, spec.selector);
  if (isEmptySelector(spec.selector)) errors.push(invalidValue(`${field}.selector`, spec.selector ?? {}, 'empty selector is invalid for daemonset'));
  return [
    ...errors,
    ...validateServingTemplate(`${field}.template`, spec.template, spec.selector, 'DaemonSet'),
    ...nonNegative(`${field}.minReadySeconds`, spec.minReadySeconds),
    ...validateStrategy(`${field}.updateStrategy`, spec.updateStrategy ?? {}),
    ...nonNegative(`${field}.revisionHistoryLimit`, spec.revisionHistoryLimit),
  ];
}

function validateStrategy(field: string, strategy: V1DaemonSetUpdateStrategy): FieldError[] {
  if (strategy.type === 'OnDelete') return [];
  if (strategy.type !== 'RollingUpdate') return [notSupported(`${field}.type`, strategy.type, ['RollingUpdate', 'OnDelete'])];
  const rolling = strategy.rollingUpdate;
  if (rolling === undefined) return [required(`${field}.rollingUpdate`)];
  const path = `${field}.rollingUpdate`;
  const errors = [
    ...nonNegativeIntOrPercent(`${path}.maxUnavailable`, rolling.maxUnavailable),
    ...atMostHundredPercent(`${path}.maxUnavailable`, rolling.maxUnavailable),
    ...nonNegativeIntOrPercent(`${path}.maxSurge`, rolling.maxSurge),
    ...atMostHundredPercent(`${path}.maxSurge`, rolling.maxSurge),
  ];
  const [unavailable, surge] = [isZero(rolling.maxUnavailable), isZero(rolling.maxSurge)];
  if (unavailable && surge) errors.push(required(`${path}.maxUnavailable`, 'cannot be 0 when maxSurge is 0'));
  if (!unavailable && !surge) errors.push(invalidValue(`${path}.maxSurge`, rolling.maxSurge, 'may not be set when maxUnavailable is non-zero'));
  return errors;
}

function isZero(value: number | string | undefined): boolean {
  return value === undefined || value === 0 || value === '0%';
}
