/** Endpoints (core/v1): the addresses behind a Service, before EndpointSlices. */
import { formatHostPort, listOfFirst } from './address-text.ts';
import { ageColumn, column, nameColumn } from '../columns.ts';
import { defineKind } from '../define-kind.ts';
import { at, required, type FieldError } from '../../machinery/field-error.ts';
import { dnsLabelErrors, dnsSubdomainErrors, portNumberErrors, qualifiedNameErrors } from '../../machinery/names.ts';
import { ipAddress, messages, optionalName, requiredOneOf } from '../field-checks.ts';
import { endpointAddress } from './endpoint-address.ts';
import type { Kind } from '../kind.ts';
import type { V1Endpoints, V1EndpointSubset } from '../types.ts';

export type Endpoints = V1Endpoints;

export const Endpoints: Kind<V1Endpoints> = defineKind<V1Endpoints>({
  kind: 'Endpoints',
  resource: 'endpoints',
  model: 'V1Endpoints',
  shortNames: ['ep'],
  deprecationWarning: 'v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice',
  defaults({ subsets }) {
    for (const { ports } of subsets ?? []) for (const port of ports ?? []) port.protocol ||= 'TCP';
  },
  validate: ({ subsets }) => (subsets ?? []).flatMap((subset, index) => validateSubset(at('subsets', index), subset)),
  columns: [
    nameColumn,
    column('Endpoints', 'Addresses and ports.', ({ subsets }) => listOfFirst(3, (subsets ?? []).flatMap(addressesOf), '<none>')),
    ageColumn,
  ],
});

function addressesOf({ addresses = [], ports = [] }: V1EndpointSubset): string[] {
  if (ports.length === 0) return addresses.map(({ ip }) => ip);
  return ports.flatMap(({ port }) => addresses.map(({ ip }) => formatHostPort(ip, port)));
}

function validateSubset(field: string, { addresses = [], notReadyAddresses = [], ports = [] }: V1EndpointSubset): FieldError[] {
  const errors: FieldError[] = [];
  if (addresses.length + notReadyAddresses.length === 0) errors.push(required(field, 'must specify `addresses` or `notReadyAddresses`'));
  for (const [name, list] of Object.entries({ addresses, notReadyAddresses })) {
    for (const [index, { ip, hostname, nodeName }] of list.entries()) {
      const path = at(`${field}.${name}`, index);
      errors.push(
        ...ipAddress(`${path}.ip`, ip),
        ...endpointAddress(`${path}.ip`, ip),
        ...optionalName(`${path}.hostname`, hostname, dnsLabelErrors),
        ...(nodeName === undefined ? [] : messages(`${path}.nodeName`, nodeName, dnsSubdomainErrors(nodeName))),
      );
    }
  }
  for (const [index, { name = '', port, protocol, appProtocol }] of ports.entries()) {
    const path = at(`${field}.ports`, index);
    if (name === '' && ports.length > 1) errors.push(required(`${path}.name`));
    errors.push(...optionalName(`${path}.name`, name, dnsLabelErrors));
    if (appProtocol !== undefined) errors.push(...messages(`${path}.appProtocol`, appProtocol, qualifiedNameErrors(appProtocol)));
    errors.push(...messages(`${path}.port`, port, portNumberErrors(port)), ...requiredOneOf(`${path}.protocol`, protocol, ['TCP', 'UDP', 'SCTP']));
  }
  return errors;
}
