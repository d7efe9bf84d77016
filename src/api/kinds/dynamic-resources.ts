/** DeviceClass, ResourceClaim, ResourceClaimTemplate, ResourceSlice (resource.k8s.io/v1): devices that pods claim. */
import { ageColumn, column, nameColumn } from '../columns.ts';
import { defineKind, statusSubresource } from '../define-kind.ts';
import { immutable } from '../field-checks.ts';
import type { Kind } from '../kind.ts';
import { validateClaimStatus, validateDeviceClaim, validateDeviceClass } from './device-rules.ts';
import { validateSlice } from './resource-slice-rules.ts';
import type { V1DeviceRequest, ResourceV1ResourceClaim, V1DeviceClass, V1ResourceClaimTemplate, V1ResourceSlice } from '../types.ts';

export type DeviceClass = V1DeviceClass;

export const DeviceClass: Kind<V1DeviceClass> = defineKind<V1DeviceClass>({
  group: 'resource.k8s.io',
  kind: 'DeviceClass',
  resource: 'deviceclasses',
  model: 'V1DeviceClass',
  namespaced: false,
  generation: true,
  validate: ({ spec }) => validateDeviceClass('spec', spec),
});

export type ResourceClaim = ResourceV1ResourceClaim;

export const ResourceClaim: Kind<ResourceV1ResourceClaim> = defineKind<ResourceV1ResourceClaim>({
  group: 'resource.k8s.io',
  kind: 'ResourceClaim',
  resource: 'resourceclaims',
  model: 'ResourceV1ResourceClaim',
  subresources: { status: statusSubresource },
  defaults({ spec }) {
    for (const request of spec.devices?.requests ?? []) defaultRequest(request);
  },
  validate: ({ spec }, old) => (old === undefined ? validateDeviceClaim('spec.devices', spec.devices ?? {}) : immutable('spec', spec, old.spec)),
  validateStatus: validateClaimStatus,
  columns: [nameColumn, column('State', 'Whether devices were found, and are used.', stateText), ageColumn],
});

export type ResourceClaimTemplate = V1ResourceClaimTemplate;

export const ResourceClaimTemplate: Kind<V1ResourceClaimTemplate> = defineKind<V1ResourceClaimTemplate>({
  group: 'resource.k8s.io',
  kind: 'ResourceClaimTemplate',
  resource: 'resourceclaimtemplates',
  model: 'V1ResourceClaimTemplate',
  defaults({ spec }) {
    for (const request of spec.spec?.devices?.requests ?? []) defaultRequest(request);
  },
  validate: ({ spec }, old) => [
    ...validateDeviceClaim('spec.spec.devices', spec.spec?.devices ?? {}),
    ...(old === undefined ? [] : immutable('spec', spec, old.spec)),
  ],
});

export type ResourceSlice = V1ResourceSlice;

export const ResourceSlice: Kind<V1ResourceSlice> = defineKind<V1ResourceSlice>({
  group: 'resource.k8s.io',
  kind: 'ResourceSlice',
  resource: 'resourceslices',
  model: 'V1ResourceSlice',
  namespaced: false,
  generation: true,
  validate: ({ spec }, old) => validateSlice('spec', spec, old?.spec),
  selectableFields: { 'spec.nodeName': ({ spec }) => spec.nodeName ?? '', 'spec.driver': ({ spec }) => spec.driver },
  columns: [
    nameColumn,
    column('Node', 'Where the devices are.', ({ spec }) => spec.nodeName ?? '<unset>'),
    column('Driver', 'Who manages them.', ({ spec }) => spec.driver),
    column('Pool', 'What they are part of.', ({ spec }) => spec.pool?.name ?? ''),
    ageColumn,
  ],
});

function defaultRequest({ exactly, firstAvailable }: V1DeviceRequest): void {
  for (const part of [...(exactly === undefined ? [] : [exactly]), ...(firstAvailable ?? [])]) {
    part.allocationMode ??= 'ExactCount';
    if (part.allocationMode === 'ExactCount') part.count ||= 1;
    for (const toleration of part.tolerations ?? []) toleration.operator ??= 'Equal';
  }
}

function stateText({ metadata, status }: ResourceV1ResourceClaim): string {
  const states: string[] = [];
  if (metadata.deletionTimestamp !== undefined) states.push('deleted');
  if (status.allocation === undefined) states.push('pending');
  else states.push('allocated', ...((status.reservedFor ?? []).length > 0 ? ['reserved'] : []));
  return states.join(',');
}
