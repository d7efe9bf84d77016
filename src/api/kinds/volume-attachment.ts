/** VolumeAttachment (storage.k8s.io/v1): asks a driver to attach a volume to a node. */
import { ageColumn, column, nameColumn } from '../columns.ts';
import { required } from '../../machinery/field-error.ts';
import { immutable } from '../field-checks.ts';
import { defineKind, statusSubresource } from '../define-kind.ts';
import type { Kind } from '../kind.ts';
import type { V1VolumeAttachment } from '../types.ts';

export type VolumeAttachment = V1VolumeAttachment;

export const VolumeAttachment: Kind<V1VolumeAttachment> = defineKind<V1VolumeAttachment>({
  group: 'storage.k8s.io',
  kind: 'VolumeAttachment',
  resource: 'volumeattachments',
  model: 'V1VolumeAttachment',
  namespaced: false,
  subresources: { status: statusSubresource },
  defaults({ status }) {
    status.attached ??= false;
  },
  prepareForCreate(attachment) {
    attachment.status = { attached: false };
  },
  validate: ({ spec }, old) => [
    ...(spec.attacher === '' ? [required('spec.attacher')] : []),
    ...(spec.nodeName === '' ? [required('spec.nodeName')] : []),
    ...(old === undefined ? [] : immutable('spec', spec, old.spec)),
  ],
  columns: [
    nameColumn,
    column('Attacher', 'The driver that attaches.', ({ spec }) => spec.attacher),
    column('PV', 'The volume.', ({ spec }) => spec.source?.persistentVolumeName ?? ''),
    column('Node', 'The node it goes to.', ({ spec }) => spec.nodeName),
    column('Attached', 'Whether it is there.', ({ status }) => status.attached, { type: 'boolean' }),
    ageColumn,
  ],
});
