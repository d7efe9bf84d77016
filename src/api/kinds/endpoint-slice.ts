/** EndpointSlice (discovery.k8s.io/v1): some of the endpoints behind a Service, with what is known about each. */
import { at, duplicate, invalidValue, required, tooMany, type FieldError } from '../../machinery/field-error.ts';
import { tryParseIp } from '../../machinery/ip.ts';
import { dnsLabelErrors, dnsSubdomainErrors, labelValueErrors, qualifiedNameErrors } from '../../machinery/names.ts';
import { ageColumn, column, nameColumn } from '../columns.ts';
import { defineKind } from '../define-kind.ts';
import { atMost, immutable, labels, messages, noDuplicates, portNumber, requiredName, requiredOneOf } from '../field-checks.ts';
import { endpointAddress } from './endpoint-address.ts';
import type { Kind } from '../kind.ts';
import * as warn from '../warnings.ts';
import type { V1Endpoint, V1EndpointSlice } from '../types.ts';
import { listOfFirst } from './address-text.ts';

export type EndpointSlice = V1EndpointSlice;

export const EndpointSlice: Kind<V1EndpointSlice> = defineKind<V1EndpointSlice>({
  group: 'discovery.k8s.io',
  kind: 'EndpointSlice',
  resource: 'endpointslices',
  model: 'V1EndpointSlice',
  generation: true,
  defaults(slice) {
    slice.endpoints ??= [];
    for (const port of slice.ports ?? []) {
      port.name ??= '';
      port.protocol ??= 'TCP';
    }
  },
  validate: (slice, old) => [...validateSlice(slice), ...(old === undefined ? [] : immutable('addressType', slice.addressType, old.addressType))],
  warnings: ({ addressType, endpoints = [] }) => [
    ...(addressType === 'FQDN' ? ['addressType: FQDN endpoints are deprecated'] : []),
    ...endpoints.flatMap(({ addresses }, index) =>
      addresses.flatMap((text, which) => warn.address(at(`${at('endpoints', index)}.addresses`, which), text)),
    ),
  ],
  columns: [
    nameColumn,
    column('AddressType', 'What the addresses are.', ({ addressType }) => addressType),
    column('Ports', 'Ports of every endpoint.', ({ ports }) =>
      listOfFirst(
        3,
        (ports ?? []).map(({ port, name }) => String(port ?? name ?? '*')),
        '<unset>',
      ),
    ),
    column('Endpoints', 'Addresses.', ({ endpoints }) =>
      listOfFirst(
        3,
        (endpoints ?? []).flatMap(({ addresses }) => addresses),
        '<unset>',
      ),
    ),
    ageColumn,
  ],
});

const maxEndpoints = 1000;
const maxPorts = 20_000;
const maxAddresses = 100;

function validateSlice({ addressType, endpoints = [], ports = [] }: V1EndpointSlice): FieldError[] {
  const errors = requiredOneOf('addressType', addressType, ['FQDN', 'IPv4', 'IPv6']);
  if (endpoints.length > maxEndpoints) errors.push(tooMany('endpoints', endpoints.length, maxEndpoints));
  for (const [index, endpoint] of endpoints.entries()) {
    const { addresses } = endpoint;
    const path = `${at('endpoints', index)}.addresses`;
    errors.push(...validateEndpoint(at('endpoints', index), endpoint));
    if (addresses.length === 0) errors.push(required(path, 'must contain at least 1 address'));
    if (addresses.length > maxAddresses) errors.push(tooMany(path, addresses.length, maxAddresses));
    for (const [which, address] of addresses.entries()) errors.push(...validateAddress(at(path, which), address, addressType));
  }
  if (ports.length > maxPorts) errors.push(tooMany('ports', ports.length, maxPorts));
  const names = new Set<string>();
  for (const [index, { name = '', port, protocol, appProtocol }] of ports.entries()) {
    const path = at('ports', index);
    if (name !== '') errors.push(...messages(`${path}.name`, name, dnsLabelErrors(name)));
    if (names.has(name)) errors.push(duplicate(`${path}.name`, name));
    names.add(name);
    errors.push(...requiredOneOf(`${path}.protocol`, protocol, ['SCTP', 'TCP', 'UDP']));
    if (port !== undefined) errors.push(...portNumber(`${path}.port`, port));
    if (appProtocol !== undefined) errors.push(...messages(`${path}.appProtocol`, appProtocol, qualifiedNameErrors(appProtocol)));
  }
  return errors;
}

const maxTopologyLabels = 16;
const maxHints = 8;

function validateEndpoint(field: string, { hostname, nodeName, deprecatedTopology = {}, hints }: V1Endpoint): FieldError[] {
  const labelCount = Object.keys(deprecatedTopology).length;
  const errors = [
    ...(hostname === undefined ? [] : messages(`${field}.hostname`, hostname, dnsLabelErrors(hostname))),
    ...(nodeName === undefined ? [] : messages(`${field}.nodeName`, nodeName, dnsSubdomainErrors(nodeName))),
    ...labels(`${field}.deprecatedTopology`, deprecatedTopology),
    ...(labelCount > maxTopologyLabels ? [tooMany(`${field}.deprecatedTopology`, labelCount, maxTopologyLabels)] : []),
  ];
  for (const list of ['forZones', 'forNodes'] as const) {
    const path = `${field}.hints.${list}`;
    errors.push(
      ...atMost(path, hints?.[list], maxHints),
      ...noDuplicates<{ readonly name: string }>(path, hints?.[list], ({ name }) => name, '.name'),
      ...(hints?.[list] ?? []).flatMap(({ name }, index) =>
        requiredName(`${at(path, index)}.name`, name, list === 'forZones' ? labelValueErrors : dnsSubdomainErrors),
      ),
    );
  }
  return errors;
}

function validateAddress(field: string, address: string, type: string): FieldError[] {
  if (type === 'FQDN') return messages(field, address, dnsSubdomainErrors(address));
  // Another type is an error of its own.
  if (type !== 'IPv4' && type !== 'IPv6') return [];
  if (tryParseIp(address)?.family !== (type === 'IPv4' ? 4 : 6)) return [invalidValue(field, address, `must be a valid ${type} address`)];
  return endpointAddress(field, address);
}
