/** ControllerRevision (apps/v1): a template as a StatefulSet or DaemonSet once had it. */
import { required } from '../../machinery/field-error.ts';
import { ageColumn, column, nameColumn } from '../columns.ts';
import { defineKind } from '../define-kind.ts';
import { immutable, nonNegative } from '../field-checks.ts';
import type { Kind } from '../kind.ts';
import { controllerOf } from '../../machinery/object.ts';
import type { V1ControllerRevision } from '../types.ts';

export type ControllerRevision = V1ControllerRevision;

export const ControllerRevision: Kind<V1ControllerRevision> = defineKind<V1ControllerRevision>({
  group: 'apps',
  kind: 'ControllerRevision',
  resource: 'controllerrevisions',
  model: 'V1ControllerRevision',
  validate: ({ data, revision }, old) => [
    ...nonNegative('revision', revision),
    ...(old === undefined ? (data === undefined ? [required('data', 'data is mandatory')] : []) : immutable('data', data, old.data)),
  ],
  columns: [
    nameColumn,
    column('Controller', 'What the revision is of.', controllerText),
    column('Revision', 'Its number.', ({ revision }) => revision),
    ageColumn,
  ],
});

function controllerText(revision: V1ControllerRevision): string {
  const owner = controllerOf(revision);
  if (owner === undefined) return '<none>';
  const group = owner.apiVersion.includes('/') ? `.${owner.apiVersion.split('/')[0] ?? ''}` : '';
  return `${owner.kind.toLowerCase()}${group}/${owner.name}`;
}
