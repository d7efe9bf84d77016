/**
 * `/api`, `/apis` and what is below them short of the resources: what clients read first to learn what is served. Both roots also answer with everything at
 * once when asked for an `APIGroupDiscoveryList`. See https://kubernetes.io/docs/concepts/overview/kubernetes-api/#discovery-api
 */
import { createHash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { notFoundPath } from '../../machinery/errors.ts';
import { parseAccept } from '../http/negotiate.ts';
import type { PathAnswer, PathRequest, Paths } from '../http/paths.ts';
import type { Aggregator } from '../aggregation/aggregator.ts';
import type { Verbs } from '../verbs.ts';
import { apiGroup, apiResourceList, groupDiscovery, type ServedGroup } from './resources.ts';

type AggregatedVersion = 'v2' | 'v2beta1';

interface Document {
  readonly body: Buffer;
  readonly etag: string;
}

export function addDiscoveryPaths(paths: Paths, verbs: Verbs, aggregator: Aggregator, serverAddress: () => string): void {
  const discovery = new Discovery(verbs, aggregator);
  const root = (core: boolean, plain: () => object) => (request: PathRequest) => {
    const version = aggregatedVersion(request.headers);
    return version === undefined
      ? conditional(discovery.plain(request.path, plain), 'application/json', request.headers)
      : conditional(
          discovery.aggregated(core, version),
          `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`,
          request.headers,
        );
  };
  paths.add(
    '/api',
    root(true, () => ({
      kind: 'APIVersions',
      versions: ['v1'],
      serverAddressByClientCIDRs: [{ clientCIDR: '0.0.0.0/0', serverAddress: serverAddress() }],
    })),
  );
  paths.add(
    '/apis',
    root(false, () => ({ kind: 'APIGroupList', apiVersion: 'v1', groups: discovery.groups().map((group) => apiGroup(group)) })),
  );
  paths.add('/api/', ({ path, headers }) => conditional(discovery.below(path, '', path.slice('/api/'.length)), 'application/json', headers));
  paths.add('/apis/', ({ path, headers }) => {
    const [group = '', ...rest] = path.slice('/apis/'.length).split('/');
    return conditional(discovery.below(path, group, rest.join('/')), 'application/json', headers);
  });
  paths.addListed(() => discovery.paths());
}

/** Derived from the kinds, and again when they change. */
class Discovery {
  private readonly verbs: Verbs;
  private readonly aggregator: Aggregator;
  private generation = '';
  private served: readonly ServedGroup[] = [];
  private readonly documents = new Map<string, Document>();

  constructor(verbs: Verbs, aggregator: Aggregator) {
    this.verbs = verbs;
    this.aggregator = aggregator;
  }

  /** Without the core group, which has a root of its own. */
  groups(): readonly ServedGroup[] {
    return this.current().filter(({ group }) => group !== '');
  }

  aggregated(core: boolean, version: AggregatedVersion): Document {
    const groups = this.current().filter(({ group }) => (group === '') === core);
    return this.kept(`${String(core)} ${version}`, () => ({
      kind: 'APIGroupDiscoveryList',
      apiVersion: `apidiscovery.k8s.io/${version}`,
      metadata: {},
      items: groups.map((group) => groupDiscovery(group)),
    }));
  }

  plain(path: string, make: () => object): Document {
    this.current();
    return this.kept(path, make);
  }

  private kept(key: string, make: () => object): Document {
    let document = this.documents.get(key);
    if (document === undefined) {
      const body = Buffer.from(JSON.stringify(make()));
      document = { body, etag: `"${createHash('sha512').update(body).digest('hex').toUpperCase()}"` };
      this.documents.set(key, document);
    }
    return document;
  }

  /** `/apis/<group>` and `/apis/<group>/<version>`. */
  below(path: string, groupName: string, versionPath: string): Document {
    const version = versionPath.endsWith('/') ? versionPath.slice(0, -1) : versionPath;
    const group = this.current().find((candidate) => candidate.group === groupName);
    if (group === undefined) throw notFoundPath();
    if (version === '') return this.kept(path, () => ({ kind: 'APIGroup', apiVersion: 'v1', ...apiGroup(group) }));
    const served = group.versions.find((candidate) => candidate.version === version);
    if (served === undefined) throw notFoundPath();
    return this.kept(path, () => apiResourceList(groupName, version, served.kinds));
  }

  paths(): string[] {
    return this.current().flatMap(({ group, versions }) =>
      group === ''
        ? versions.map(({ version }) => `/api/${version}`)
        : [`/apis/${group}`, ...versions.map(({ version }) => `/apis/${group}/${version}`)],
    );
  }

  private current(): readonly ServedGroup[] {
    const generation = `${this.verbs.kindsGeneration()} ${this.aggregator.generation()}`;
    if (generation !== this.generation) {
      this.generation = generation;
      this.served = this.aggregator.groups();
      this.documents.clear();
    }
    return this.served;
  }
}

/** Which aggregated form the client prefers to the plain one; undefined for the plain one. */
function aggregatedVersion(headers: IncomingHttpHeaders): AggregatedVersion | undefined {
  if (headers.accept === undefined) return undefined;
  for (const { type, parameters } of parseAccept(headers.accept)) {
    if (type !== 'application/json' && type !== '*/*' && type !== 'application/*') continue;
    if (parameters['as'] === undefined) return undefined;
    const { g, v } = parameters;
    if (parameters['as'] === 'APIGroupDiscoveryList' && g === 'apidiscovery.k8s.io' && (v === 'v2' || v === 'v2beta1')) return v;
  }
  return undefined;
}

function conditional({ body, etag }: Document, contentType: string, headers: IncomingHttpHeaders): PathAnswer {
  const shared = { etag, vary: 'Accept' };
  if (headers['if-none-match'] === etag) return { code: 304, contentType, body: '', headers: shared };
  return { code: 200, contentType, body, headers: shared };
}
