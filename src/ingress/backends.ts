/** From a Service and a port of it to the addresses behind: pure. Requests go straight to them, past the Service's own address. */
import type { EndpointSlice, Service } from '../api/kinds.ts';
import type { BackendReference } from './routes.ts';

export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

/** Undefined for a Service, or a port of it, that is not there; empty while nothing behind it is ready. */
export function endpointsOf(
  { port }: BackendReference,
  service: Service | undefined,
  slices: readonly EndpointSlice[],
): readonly Endpoint[] | undefined {
  const { ports = [], type, externalName } = service?.spec ?? {};
  const found = ports.find((candidate) => (typeof port === 'number' ? candidate.port === port : candidate.name === port));
  if (type === 'ExternalName') {
    const number = found?.port ?? (typeof port === 'number' ? port : undefined);
    return externalName === undefined || number === undefined ? undefined : [{ host: externalName, port: number }];
  }
  if (found === undefined) return undefined;
  const endpoints = new Map<string, Endpoint>();
  for (const slice of slices) {
    const number = slice.ports?.find(({ name = '' }) => name === (found.name ?? ''))?.port;
    if (number === undefined) continue;
    for (const { addresses, conditions } of slice.endpoints ?? []) {
      const [host] = addresses;
      // What does not say it is not ready, is.
      if (host !== undefined && conditions?.ready !== false) endpoints.set(`${host} ${number}`, { host, port: number });
    }
  }
  return [...endpoints.values()];
}
