/** IPAddress (networking.k8s.io/v1): says that a Service has a cluster address. */
import { ageColumn, column, nameColumn } from '../columns.ts';
import { invalidValue, required, type FieldError } from '../../machinery/field-error.ts';
import { formatIp, tryParseIp } from '../../machinery/ip.ts';
import { dnsSubdomainErrors, pathSegmentErrors } from '../../machinery/names.ts';
import { immutable, optionalName, requiredName } from '../field-checks.ts';
import { defineKind } from '../define-kind.ts';
import type { Kind } from '../kind.ts';
import type { V1IPAddress, V1ParentReference } from '../types.ts';

export type IPAddress = V1IPAddress;

export const IPAddress: Kind<V1IPAddress> = defineKind<V1IPAddress>({
  group: 'networking.k8s.io',
  kind: 'IPAddress',
  resource: 'ipaddresses',
  model: 'V1IPAddress',
  shortNames: ['ip'],
  namespaced: false,
  nameRule: 'path-segment',
  validate({ metadata, spec }, old) {
    const ip = tryParseIp(metadata.name);
    const canonical = ip !== undefined && formatIp(ip) === metadata.name;
    return [
      ...(canonical ? [] : [invalidValue('metadata.name', metadata.name, 'not a valid ip')]),
      ...(spec.parentRef === undefined ? [required('spec.parentRef')] : validateParent('spec.parentRef', spec.parentRef)),
      ...(old === undefined ? [] : immutable('spec.parentRef', spec.parentRef, old.spec.parentRef)),
    ];
  },
  columns: [
    nameColumn,
    column('ParentRef', 'What has the address.', ({ spec: { parentRef } }) => {
      if (parentRef === undefined) return '';
      const { group = '', resource, namespace = '', name } = parentRef;
      return [group === '' ? resource : `${resource}.${group}`, ...(namespace === '' ? [] : [namespace]), name].join('/');
    }),
    ageColumn,
  ],
});

function validateParent(field: string, { group, resource, namespace, name }: V1ParentReference): FieldError[] {
  return [
    ...optionalName(`${field}.group`, group, dnsSubdomainErrors),
    ...requiredName(`${field}.resource`, resource, pathSegmentErrors),
    ...requiredName(`${field}.name`, name, pathSegmentErrors),
    ...optionalName(`${field}.namespace`, namespace, pathSegmentErrors),
  ];
}
