/**
 * Where a Service can be reached from here: the addresses behind it, rather than its cluster IP, which only nodes route. Upstream's `ServiceResolver` for
 * webhooks and aggregated APIs.
 */
import { EndpointSlice, Service } from '../api/kinds.ts';
import type { V1ServicePort } from '../api/types.ts';
import type { World } from '../world/world.ts';
import type { ObjectReader } from './verbs.ts';

export interface ServiceReference {
  readonly namespace: string;
  readonly name: string;
  readonly port: number;
}

export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

/** Why a Service leads nowhere; the reasons are those of an APIService's condition. */
export type UnreachableReason = 'ServiceNotFound' | 'ServicePortError' | 'EndpointsNotFound' | 'MissingEndpoints';

export class Unreachable extends Error {
  readonly reason: UnreachableReason;

  constructor(reason: UnreachableReason, message: string) {
    super(message);
    this.name = 'Unreachable';
    this.reason = reason;
  }
}

/** All addresses that are ready. Throws {@link Unreachable} when there is none. */
export function endpointsOf(objects: ObjectReader, { namespace, name, port }: ServiceReference): Endpoint[] {
  const service = objects.get(Service, namespace, name);
  if (service === undefined) throw new Unreachable('ServiceNotFound', `service/${name} in ${JSON.stringify(namespace)} is not present`);
  if (service.spec.type === 'ExternalName' && service.spec.externalName) return [{ host: service.spec.externalName, port }];
  const servicePort = (service.spec.ports ?? []).find((candidate) => candidate.port === port);
  if (servicePort === undefined) {
    throw new Unreachable('ServicePortError', `service/${name} in ${JSON.stringify(namespace)} is not listening on port ${port}`);
  }
  const slices = objects.list(EndpointSlice, namespace).filter(({ metadata }) => metadata.labels?.['kubernetes.io/service-name'] === name);
  if (slices.length === 0)
    throw new Unreachable('EndpointsNotFound', `cannot find endpointslices for service/${name} in ${JSON.stringify(namespace)}`);
  const ready = slices.flatMap((slice) => readyAddresses(slice, servicePort));
  if (ready.length > 0) return ready;
  throw new Unreachable(
    'MissingEndpoints',
    `endpoints for service/${name} in ${JSON.stringify(namespace)} have no addresses with port name ${JSON.stringify(servicePort.name ?? '')}`,
  );
}

/** One of the addresses, by chance. Throws {@link Unreachable}. */
export function someEndpointOf(objects: ObjectReader, random: World['random'], reference: ServiceReference): Endpoint {
  const ready = endpointsOf(objects, reference);
  const chosen = ready[random.int(ready.length)];
  if (chosen === undefined) throw new Unreachable('MissingEndpoints', `no endpoints available for service ${JSON.stringify(reference.name)}`);
  return chosen;
}

function readyAddresses(slice: EndpointSlice, servicePort: V1ServicePort): Endpoint[] {
  const port = slice.ports?.find((candidate) => (candidate.name ?? '') === (servicePort.name ?? ''))?.port;
  if (port === undefined) return [];
  return (slice.endpoints ?? [])
    .filter(({ conditions }) => conditions?.ready !== false)
    .flatMap(({ addresses }) => addresses.map((host) => ({ host, port })));
}

/** An address as a URL has it. */
export function hostInUrl({ host }: Pick<Endpoint, 'host'>): string {
  return host.includes(':') ? `[${host}]` : host;
}
