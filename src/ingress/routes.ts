/**
 * From Ingresses to routes, and from a request to its route: pure. A host as it is goes before one with a star, that before none; among the paths of a host the
 * longest one that matches wins, and of two alike the exact one. What two Ingresses both claim belongs to the older.
 * See https://kubernetes.io/docs/concepts/services-networking/ingress/#path-types
 */
import type { Ingress, IngressClass } from '../api/kinds.ts';
import type { V1HTTPIngressPath, V1IngressBackend } from '../api/types.ts';
import { ingressControllerName } from './names.ts';

export interface BackendReference {
  readonly namespace: string;
  readonly service: string;
  /** A name or a number of the Service's ports. */
  readonly port: string | number;
}

interface PathRoute {
  readonly isExact: boolean;
  /** Of a prefix without its trailing slash. */
  readonly path: string;
  /** Undefined for a backend that is no Service. */
  readonly backend: BackendReference | undefined;
}

/** A TLS secret, and the hosts it is for. */
export interface TlsRoute {
  readonly host: string;
  readonly namespace: string;
  readonly secret: string;
}

export interface Routes {
  /** By host: `example.com`, `*.example.com`, or '' for any. Paths in the order they are tried. */
  readonly hosts: ReadonlyMap<string, readonly PathRoute[]>;
  /** Of the oldest Ingress that has one. */
  readonly fallback: BackendReference | undefined;
  readonly tls: readonly TlsRoute[];
}

/** The Ingresses this controller serves, the oldest first. */
export function servedIngresses(ingresses: readonly Ingress[], classes: readonly IngressClass[]): readonly Ingress[] {
  const ours = new Set(classes.filter(({ spec }) => spec.controller === ingressControllerName).map(({ metadata }) => metadata.name));
  const age = ({ metadata }: Ingress): string => `${metadata.creationTimestamp ?? ''} ${metadata.namespace}/${metadata.name}`;
  return ingresses.filter((ingress) => ours.has(classOf(ingress))).toSorted((a, b) => (age(a) < age(b) ? -1 : 1));
}

/** The annotation is how it was said before there was a field, and is still read. */
function classOf({ metadata, spec }: Ingress): string {
  return spec.ingressClassName ?? metadata.annotations?.['kubernetes.io/ingress.class'] ?? '';
}

/** `ingresses` are those served, the oldest first. */
export function routesOf(ingresses: readonly Ingress[]): Routes {
  const hosts = new Map<string, PathRoute[]>();
  const tls: TlsRoute[] = [];
  let fallback: BackendReference | undefined;
  for (const ingress of ingresses) {
    const { namespace } = ingress.metadata;
    const { rules = [], defaultBackend } = ingress.spec;
    const own = defaultBackend && referenceOf(namespace, defaultBackend);
    fallback ??= own;
    for (const { host = '', http } of rules) {
      const routes = hosts.get(host.toLowerCase()) ?? [];
      hosts.set(host.toLowerCase(), routes);
      if (http === undefined) routes.push({ isExact: false, path: '', backend: own });
      else for (const path of http.paths) routes.push(pathRoute(namespace, path));
    }
    tls.push(...tlsOf(ingress));
  }
  // Sorting is stable: what is alike stays in the order of age.
  for (const routes of hosts.values()) routes.sort((a, b) => b.path.length - a.path.length || Number(b.isExact) - Number(a.isExact));
  return { hosts, fallback, tls };
}

export interface Match {
  /** Undefined for what leads to no Service. */
  readonly backend: BackendReference | undefined;
}

/** Undefined when no rule is about the request, and nothing takes the rest. `path` is as it was sent, without the query. */
export function match({ hosts, fallback }: Routes, host: string, path: string): Match | undefined {
  for (const name of namesOf(host)) {
    const route = hosts.get(name)?.find((candidate) => leadsTo(candidate, path));
    if (route !== undefined) return route;
  }
  return fallback && { backend: fallback };
}

/** What a host may be listed as, the closest first. A star stands for one label. */
export function namesOf(host: string): readonly string[] {
  const dot = host.indexOf('.');
  return dot > 0 ? [host, `*${host.slice(dot)}`, ''] : [host, ''];
}

/** Of a `Host` header: in small letters, without the port. */
export function hostOf(header: string): string {
  const bracket = header.indexOf(']');
  const colon = header.indexOf(':', Math.max(0, bracket));
  return (colon < 0 ? header : header.slice(0, colon)).toLowerCase().replace(/\.$/, '');
}

function leadsTo(route: PathRoute, path: string): boolean {
  if (route.isExact) return path === route.path;
  return path.startsWith(route.path) && (path.length === route.path.length || path[route.path.length] === '/');
}

/** What is left to the implementation is a prefix here; a star at its end, as some others want it, says the same. */
function pathRoute(namespace: string, { path = '/', pathType, backend }: V1HTTPIngressPath): PathRoute {
  const isExact = pathType === 'Exact';
  const prefix = pathType === 'ImplementationSpecific' ? path.replace(/\*$/, '') : path;
  return { isExact, path: isExact ? path : prefix.replace(/\/+$/, ''), backend: referenceOf(namespace, backend) };
}

function referenceOf(namespace: string, { service }: V1IngressBackend): BackendReference | undefined {
  const port = service?.port?.name ?? service?.port?.number;
  return service === undefined || port === undefined ? undefined : { namespace, service: service.name, port };
}

/** Without hosts of its own, a secret is for all the Ingress's hosts. */
function tlsOf({ metadata: { namespace }, spec: { tls = [], rules = [] } }: Ingress): readonly TlsRoute[] {
  return tls.flatMap(({ hosts = [], secretName }) => {
    if (secretName === undefined || secretName === '') return [];
    const named = hosts.length > 0 ? hosts : rules.map(({ host = '' }) => host);
    return named.map((host) => ({ host: host.toLowerCase(), namespace, secret: secretName }));
  });
}
