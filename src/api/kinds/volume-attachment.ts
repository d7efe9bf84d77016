/** VolumeAttachment (storage.k8s.io/v1): asks a driver to attach a volume to a node. */
import { ageColumn, column, nameColumn } from '../columns.ts';
import { forbiddenField, required, type FieldError } from '../../machinery/field-error.ts';
import { dnsSubdomainErrors } from '../../machinery/names.ts';
import { immutable, messages, optionalName } from '../field-checks.ts';
import { csiDriverName } from './csi.ts';
import { defineKind, statusSubresource } from '../define-kind.ts';
import type { Kind } from '../kind.ts';
import type { V1VolumeAttachment, V1VolumeAttachmentSource } from '../types.ts';

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
    ...csiDriverName('spec.attacher', spec.attacher),
    ...validateSource('spec.source', spec.source ?? {}),
    ...messages('spec.nodeName', spec.nodeName, dnsSubdomainErrors(spec.nodeName)),
    ...(old === undefined ? [] : immutable('spec', spec, old.spec)),
  ],
  columns: [
    nameColumn,
    column('Attacher', 'The driver that attaches.', ({ spec }) => spec.attacher, { format: 'name' }),
    column('PV', 'The volume.', ({ spec }) => spec.source?.persistentVolumeName ?? ''),
    column('Node', 'The node it goes to.', ({ spec }) => spec.nodeName),
    column('Attached', 'Whether it is there.', ({ status }) => status.attached, { type: 'boolean' }),
    ageColumn,
  ],
});

function validateSource(field: string, { inlineVolumeSpec, persistentVolumeName }: V1VolumeAttachmentSource): FieldError[] {
  const why = 'must specify exactly one of inlineVolumeSpec and persistentVolumeName';
  if (inlineVolumeSpec === undefined && persistentVolumeName === undefined) return [required(field, why)];
  if (inlineVolumeSpec !== undefined && persistentVolumeName !== undefined) return [forbiddenField(field, why)];
  return optionalName(`${field}.persistentVolumeName`, persistentVolumeName, dnsSubdomainErrors);
}
