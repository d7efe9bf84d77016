/**
 * Where `proxy` subresources lead: a node's kubelet, a pod's port, or one of a Service's ready endpoints. Names may carry a scheme and a port:
 * `https:web:8443`. See https://kubernetes.io/docs/tasks/access-application-cluster/access-cluster-services/#manually-constructing-apiserver-proxy-urls
 */
import type { ClientRequest } from 'node:http';
import { EndpointSlice, Pod, Service } from '../../api/kinds.ts';
import { badRequest, notFound, serviceUnavailable } from '../../machinery/errors.ts';
import { http, https } from '../../world/http-modules.ts';
import type { World } from '../../world/world.ts';
import type { ResourceTarget } from '../request.ts';
import type { ObjectReader } from '../verbs.ts';
import type { BackendRequest, KubeletConnector } from './kubelet-connector.ts';

export interface Backends {
  readonly world: World;
  readonly objects: ObjectReader;
  readonly kubelets: KubeletConnector;
}

interface NamedPort {
  readonly scheme: string;
  readonly name: string;
  readonly port: string;
}

/** Begins a request to what the target names. Throws an `ApiError` when it leads nowhere. */
export function requestBackend(backends: Backends, target: ResourceTarget, request: BackendRequest): ClientRequest {
  const named = splitName(target.name ?? '');
  switch (target.resource) {
    case 'nodes':
      return backends.kubelets.request(named.name, request);
    case 'pods':
      return send(podAddress(backends.objects, target, named), named.scheme, request);
    default:
      return send(serviceAddress(backends, target, named), named.scheme, request);
  }
}

/** `name`, `name:port`, `scheme:name:port`; the last with an empty port when there is none. */
function splitName(text: string): NamedPort {
  const parts = text.split(':');
  const [first = '', second = '', third = ''] = parts;
  if (parts.length === 1) return { scheme: '', name: first, port: '' };
  if (parts.length === 2) return { scheme: '', name: first, port: second };
  if (parts.length === 3 && (first === 'http' || first === 'https' || first === '')) return { scheme: first, name: second, port: third };
  throw badRequest(`invalid request "${text}"`);
}

interface Address {
  readonly host: string;
  readonly port: number;
}

function podAddress(objects: ObjectReader, { namespace = '' }: ResourceTarget, { name, port }: NamedPort): Address {
  const pod = objects.get(Pod, namespace, name);
  if (pod === undefined) throw notFound({ group: '', resource: 'pods' }, name);
  const host = pod.status.podIP ?? '';
  if (host === '') throw serviceUnavailable('address not allowed');
  const declared = pod.spec.containers.flatMap((container) => container.ports ?? []);
  const number = port === '' ? declared[0]?.containerPort : (declared.find((candidate) => candidate.name === port)?.containerPort ?? Number(port));
  return { host: proxyable(host), port: validPort(number ?? 80, port) };
}

function serviceAddress({ objects, world }: Backends, { namespace = '' }: ResourceTarget, { name, port }: NamedPort): Address {
  const service = objects.get(Service, namespace, name);
  if (service === undefined) throw notFound({ group: '', resource: 'services' }, name);
  const ports = service.spec.ports ?? [];
  const servicePort =
    port === '' ? (ports.length === 1 ? ports[0] : undefined) : ports.find((candidate) => candidate.name === port || String(candidate.port) === port);
  if (servicePort === undefined) throw serviceUnavailable(`no service port ${JSON.stringify(port)} found for service ${JSON.stringify(name)}`);
  const ready = objects
    .list(EndpointSlice, namespace)
    .filter((slice) => slice.metadata.labels?.['kubernetes.io/service-name'] === name)
    .flatMap((slice) => {
      const number = slice.ports?.find((candidate) => (candidate.name ?? '') === (servicePort.name ?? ''))?.port;
      if (number === undefined) return [];
      return (slice.endpoints ?? [])
        .filter(({ conditions }) => conditions?.ready !== false)
        .flatMap(({ addresses }) => addresses.map((host) => ({ host, port: number })));
    });
  const chosen = ready[world.random.int(Math.max(1, ready.length))];
  if (chosen === undefined) throw serviceUnavailable(`no endpoints available for service ${JSON.stringify(name)}`);
  return { host: proxyable(chosen.host), port: chosen.port };
}

function validPort(port: number, asked: string): number {
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw badRequest(`invalid port ${JSON.stringify(asked)}`);
  return port;
}

/** The server's own loopback and link are not for clients to reach through it. */
function proxyable(host: string): string {
  const lower = host.toLowerCase();
  const own =
    lower.startsWith('127.') ||
    lower.startsWith('169.254.') ||
    lower.startsWith('0.') ||
    lower === '::1' ||
    lower === '::' ||
    lower.startsWith('fe80:');
  if (own) throw badRequest('address not allowed');
  return host;
}

function send({ host, port }: Address, scheme: string, { method, path, headers }: BackendRequest): ClientRequest {
  // A pod's certificate is its own affair: upstream does not check it either.
  return scheme === 'https'
    ? https().request({ host, port, method, path, headers, rejectUnauthorized: false })
    : http().request({ host, port, method, path, headers });
}
