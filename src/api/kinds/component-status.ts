/** ComponentStatus (core/v1): the control plane's health, asked at the moment of reading. Deprecated upstream, and still listed. */
import { column, nameColumn } from '../columns.ts';
import { defineKind } from '../define-kind.ts';
import type { Kind } from '../kind.ts';
import type { V1ComponentCondition, V1ComponentStatus } from '../types.ts';

export type ComponentStatus = V1ComponentStatus;

export const ComponentStatus: Kind<V1ComponentStatus> = defineKind<V1ComponentStatus>({
  kind: 'ComponentStatus',
  resource: 'componentstatuses',
  model: 'V1ComponentStatus',
  shortNames: ['cs'],
  namespaced: false,
  verbs: ['get', 'list'],
  deprecationWarning: 'v1 ComponentStatus is deprecated in v1.19+',
  columns: [
    nameColumn,
    column('Status', 'Healthy or Unhealthy.', (component) => {
      const status = healthOf(component)?.status;
      return status === 'True' ? 'Healthy' : status === 'False' ? 'Unhealthy' : 'Unknown';
    }),
    column('Message', 'What it said.', (component) => healthOf(component)?.message ?? ''),
    column('Error', 'What went wrong.', (component) => healthOf(component)?.error ?? ''),
  ],
});

function healthOf({ conditions }: V1ComponentStatus): V1ComponentCondition | undefined {
  return conditions?.find(({ type }) => type === 'Healthy');
}
