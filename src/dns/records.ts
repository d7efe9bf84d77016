/**
 * What the cluster's DNS zone holds: a pure look-up from a name to its records, as https://github.com/kubernetes/dns/blob/master/docs/specification.md
 * lays down. Services and endpoint slices in, records out; no I/O.
 */
import type { EndpointSlice, Service } from '../api/kinds.ts';
import { formatIp, tryParseIp } from '../machinery/ip.ts';

export type RecordData =
  | { readonly type: 'A' | 'AAAA'; readonly name: string; readonly address: string }
  | { readonly type: 'SRV'; readonly name: string; readonly target: string; readonly port: number }
  | { readonly type: 'CNAME'; readonly name: string; readonly target: string }
  | { readonly type: 'PTR'; readonly name: string; readonly target: string }
  | { readonly type: 'TXT'; readonly name: string; readonly text: string };

/** What the zone is read from; the caches of informers, or a test's arrays. */
export interface ZoneSource {
  service(namespace: string, name: string): Service | undefined;
  slices(namespace: string, service: string): readonly EndpointSlice[];
  hasNamespace(namespace: string): boolean;
  /** Services with this cluster IP. */
  servicesByIp(address: string): readonly Service[];
  /** Endpoint slices with this endpoint address. */
  slicesByAddress(address: string): readonly EndpointSlice[];
}

export type Lookup =
  /** Not below the zone: ask someone else. */
  | { readonly type: 'elsewhere' }
  /** No such name. */
  | { readonly type: 'no-such-name' }
  /** The name exists; records of all its types. */
  | { readonly type: 'records'; readonly records: readonly RecordData[]; readonly additional: readonly RecordData[] };

/** The records of a name (lower case, no dot at the end) in the zone `domain` (`cluster.local`). */
export function lookUp(name: string, domain: string, source: ZoneSource): Lookup {
  const reverse = addressOfReverse(name);
  if (reverse !== undefined) return lookUpReverse(name, reverse, domain, source);
  if (name !== domain && !name.endsWith(`.${domain}`)) return { type: 'elsewhere' };
  if (name === domain) return found([]);
  const labels = name.slice(0, -domain.length - 1).split('.');
  const kind = labels.pop();
  if (kind === 'svc') return labels.length === 0 ? found([]) : lookUpService(name, labels, domain, source);
  if (kind === 'pod') return labels.length === 0 ? found([]) : lookUpPod(name, labels, source);
  if (kind === 'dns-version' && labels.length === 0) return found([{ type: 'TXT', name, text: '1.1.0' }]);
  return { type: 'no-such-name' };
}

function found(records: readonly RecordData[], additional: readonly RecordData[] = []): Lookup {
  return { type: 'records', records, additional };
}

/** `labels` is what stands before `.svc`: `[_port, _proto,] [endpoint,] service, namespace`. */
function lookUpService(name: string, labels: readonly string[], domain: string, source: ZoneSource): Lookup {
  const namespace = labels.at(-1) ?? '';
  const serviceName = labels.at(-2);
  if (serviceName === undefined) return source.hasNamespace(namespace) ? found([]) : { type: 'no-such-name' };
  const service = source.service(namespace, serviceName);
  if (!service) return { type: 'no-such-name' };
  const base = `${serviceName}.${namespace}.svc.${domain}`;
  const before = labels.slice(0, -2);
  if (before.length === 0) return lookUpServiceItself(name, service, base, source);
  if (before.length === 1) return lookUpEndpoint(name, before[0] ?? '', service, source);
  if (before.length === 2 && before[0]?.startsWith('_') === true && before[1]?.startsWith('_') === true) {
    return lookUpPort(name, before[0].slice(1), before[1].slice(1), service, base, source);
  }
  return { type: 'no-such-name' };
}

function isHeadless(service: Service): boolean {
  return service.spec.clusterIP === 'None';
}

function clusterIps(service: Service): readonly string[] {
  return (service.spec.clusterIPs ?? [service.spec.clusterIP ?? '']).filter((address) => address !== '' && address !== 'None');
}

function addressRecord(name: string, address: string): RecordData {
  return { type: address.includes(':') ? 'AAAA' : 'A', name, address };
}

function lookUpServiceItself(name: string, service: Service, base: string, source: ZoneSource): Lookup {
  if (service.spec.type === 'ExternalName') return found([{ type: 'CNAME', name, target: service.spec.externalName ?? '' }]);
  if (!isHeadless(service)) {
    const records = clusterIps(service).map((address) => addressRecord(name, address));
    const ports = (service.spec.ports ?? []).map((port): RecordData => ({ type: 'SRV', name, target: base, port: port.port }));
    return found(
      [...records, ...ports],
      clusterIps(service).map((address) => addressRecord(base, address)),
    );
  }
  const endpoints = endpointsOf(service, source);
  // A headless Service without endpoints has nothing to answer with, and upstream's server says so with "no such name".
  if (endpoints.length === 0) return { type: 'no-such-name' };
  return found(unique(endpoints.map(({ address }) => addressRecord(name, address))));
}

function lookUpEndpoint(name: string, label: string, service: Service, source: ZoneSource): Lookup {
  if (!isHeadless(service)) return { type: 'no-such-name' };
  const matching = endpointsOf(service, source).filter((endpoint) => endpoint.label === label);
  return matching.length === 0 ? { type: 'no-such-name' } : found(unique(matching.map(({ address }) => addressRecord(name, address))));
}

function lookUpPort(name: string, portName: string, protocol: string, service: Service, base: string, source: ZoneSource): Lookup {
  if (!isHeadless(service)) {
    const ports = (service.spec.ports ?? []).filter((port) => port.name === portName && (port.protocol ?? 'TCP').toLowerCase() === protocol);
    if (ports.length === 0) return { type: 'no-such-name' };
    const records = ports.map((port): RecordData => ({ type: 'SRV', name, target: base, port: port.port }));
    return found(
      records,
      clusterIps(service).map((address) => addressRecord(base, address)),
    );
  }
  const records: RecordData[] = [];
  const additional: RecordData[] = [];
  for (const endpoint of endpointsOf(service, source)) {
    for (const port of endpoint.ports) {
      if (port.name !== portName || port.protocol.toLowerCase() !== protocol) continue;
      const target = `${endpoint.label}.${base}`;
      records.push({ type: 'SRV', name, target, port: port.port });
      additional.push(addressRecord(target, endpoint.address));
    }
  }
  return records.length === 0 ? { type: 'no-such-name' } : found(unique(records), unique(additional));
}

interface Endpoint {
  readonly address: string;
  /** Its host name, or its address with dashes. */
  readonly label: string;
  readonly ports: readonly { readonly name: string; readonly protocol: string; readonly port: number }[];
}

function endpointsOf(service: Service, source: ZoneSource): Endpoint[] {
  const { namespace, name } = service.metadata;
  const all = service.spec.publishNotReadyAddresses === true;
  return source.slices(namespace, name).flatMap((slice) => {
    const ports = (slice.ports ?? []).map((port) => ({ name: port.name ?? '', protocol: port.protocol ?? 'TCP', port: port.port ?? 0 }));
    return (slice.endpoints ?? [])
      .filter((endpoint) => all || endpoint.conditions?.ready !== false)
      .flatMap((endpoint) => endpoint.addresses.map((address) => ({ address, label: endpoint.hostname ?? dashed(address), ports })));
  });
}

function dashed(address: string): string {
  return address.replace(/[.:]/g, '-');
}

/** `10-244-0-5.namespace.pod`: the address is in the name, and the namespace must exist. */
function lookUpPod(name: string, labels: readonly string[], source: ZoneSource): Lookup {
  const namespace = labels.at(-1) ?? '';
  if (!source.hasNamespace(namespace)) return { type: 'no-such-name' };
  if (labels.length === 1) return found([]);
  const address = labels.length === 2 ? addressOfDashes(labels[0] ?? '') : undefined;
  return address === undefined ? { type: 'no-such-name' } : found([addressRecord(name, address)]);
}

/** The inverse of {@link dashed}. */
function addressOfDashes(label: string): string | undefined {
  for (const separator of ['.', ':']) {
    const address = tryParseIp(label.replaceAll('-', separator));
    if (address) return formatIp(address);
  }
  return undefined;
}

/** The address a `…in-addr.arpa` or `…ip6.arpa` name stands for. */
function addressOfReverse(name: string): string | undefined {
  if (name.endsWith('.ip6.arpa')) {
    const digits = name.slice(0, -'.ip6.arpa'.length).split('.').reverse();
    if (digits.length !== 32 || !digits.every((digit) => /^[0-9a-f]$/.test(digit))) return undefined;
    return formatIp({ family: 6, bits: BigInt(`0x${digits.join('')}`) });
  }
  if (!name.endsWith('.in-addr.arpa')) return undefined;
  const octets = name.slice(0, -'.in-addr.arpa'.length).split('.');
  return octets.length === 4 ? octets.reverse().join('.') : undefined;
}

function lookUpReverse(name: string, address: string, domain: string, source: ZoneSource): Lookup {
  const targets: string[] = source.servicesByIp(address).map(({ metadata }) => `${metadata.name}.${metadata.namespace}.svc.${domain}`);
  for (const slice of source.slicesByAddress(address)) {
    const service = slice.metadata.labels?.['kubernetes.io/service-name'];
    if (service === undefined) continue;
    for (const endpoint of slice.endpoints ?? []) {
      if (!endpoint.addresses.includes(address)) continue;
      const label = endpoint.hostname ?? dashed(address);
      targets.push(`${label}.${service}.${slice.metadata.namespace}.svc.${domain}`);
    }
  }
  // Addresses that are none of the cluster's are for the outer server to name.
  return targets.length === 0 ? { type: 'elsewhere' } : found(targets.map((target): RecordData => ({ type: 'PTR', name, target })));
}

function unique(records: readonly RecordData[]): RecordData[] {
  return [...new Map(records.map((record) => [JSON.stringify(record), record])).values()];
}
