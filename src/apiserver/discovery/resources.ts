/** What is served, in the two forms of discovery: a list per group and version, and everything at once. Pure: from kinds to documents. */
import { createHash } from 'node:crypto';
import { apiVersionOf, type Kind, type Subresource } from '../../api/kind.ts';
import type { RemoteResource } from '../aggregation/remote-api.ts';

/** The versions of a group, preferred first. */
export interface ServedGroup {
  readonly group: string;
  readonly versions: readonly ServedVersion[];
}

export interface ServedVersion {
  readonly version: string;
  /** What this server serves itself. */
  readonly kinds: readonly Kind[];
  /** There for a version that another server serves: what it said last, and whether it could be asked since. */
  readonly remote?: { readonly resources: readonly RemoteResource[]; readonly isCurrent: boolean };
}

/** In the order of the kinds; versions by upstream's priority (v2 before v1, GA before beta). */
export function groupsOf(kinds: readonly Kind[]): ServedGroup[] {
  const groups = new Map<string, Map<string, Kind[]>>();
  for (const kind of kinds) {
    const versions = groups.get(kind.group) ?? new Map<string, Kind[]>();
    groups.set(kind.group, versions);
    versions.set(kind.version, [...(versions.get(kind.version) ?? []), kind]);
  }
  return [...groups].map(([group, versions]) => ({
    group,
    versions: [...versions]
      .map(([version, served]) => ({ version, kinds: served.toSorted((a, b) => (a.resource < b.resource ? -1 : 1)) }))
      .sort((a, b) => compareVersions(a.version, b.version)),
  }));
}

const versionForm = /^v(\d+)(?:(alpha|beta)(\d+))?$/;

/** Upstream's order of version names: GA, then beta, then alpha, each from the highest; others by name after them. */
export function compareVersions(a: string, b: string): number {
  const left = versionForm.exec(a);
  const right = versionForm.exec(b);
  if (left === null || right === null) return left === right ? (a < b ? -1 : 1) : left === null ? 1 : -1;
  const stage = (match: RegExpExecArray): number => (match[2] === undefined ? 2 : match[2] === 'beta' ? 1 : 0);
  return stage(right) - stage(left) || Number(right[1]) - Number(left[1]) || Number(right[3] ?? 0) - Number(left[3] ?? 0);
}

export function groupVersionName(group: string, version: string): string {
  return group === '' ? version : `${group}/${version}`;
}

/** An APIGroup, as in `/apis` and `/apis/<group>`. */
export function apiGroup({ group, versions }: ServedGroup): object {
  const named = versions.map(({ version }) => ({ groupVersion: groupVersionName(group, version), version }));
  return { name: group, versions: named, preferredVersion: named[0] };
}

/** An APIResourceList, as in `/apis/<group>/<version>`. */
export function apiResourceList(group: string, version: string, kinds: readonly Kind[]): object {
  return {
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion: groupVersionName(group, version),
    resources: kinds.flatMap((kind) => [
      apiResource(kind),
      ...subresourcesOf(kind).map(([name, subresource]) => apiSubresource(kind, name, subresource)),
    ]),
  };
}

function apiResource(kind: Kind): object {
  return {
    name: kind.resource,
    singularName: kind.singular,
    namespaced: kind.namespaced,
    kind: kind.kind,
    verbs: kind.verbs,
    ...(kind.shortNames.length > 0 && { shortNames: kind.shortNames }),
    ...(kind.categories.length > 0 && { categories: kind.categories }),
    ...(kind.virtual !== true && { storageVersionHash: storageVersionHash(kind) }),
  };
}

function apiSubresource(kind: Kind, name: string, { body, verbs }: Subresource): object {
  const elsewhere = body !== undefined && (body.group !== kind.group || body.version !== kind.version);
  return {
    name: `${kind.resource}/${name}`,
    singularName: '',
    namespaced: kind.namespaced,
    ...(elsewhere && { group: body.group, version: body.version }),
    kind: body?.kind ?? kind.kind,
    verbs,
  };
}

/** An APIGroupDiscovery: a group with all its versions and resources. */
export function groupDiscovery({ group, versions }: ServedGroup): object {
  return {
    metadata: { ...(group !== '' && { name: group }), creationTimestamp: null },
    versions: versions.map(({ version, kinds, remote }) => ({
      version,
      ...(remote && { resources: remoteResources(group, version, remote.resources), freshness: remote.isCurrent ? 'Current' : 'Stale' }),
      ...(!remote && { resources: ownResources(kinds), freshness: 'Current' }),
    })),
  };
}

function ownResources(kinds: readonly Kind[]): object[] {
  return kinds.map((kind) => {
    const subresources = subresourcesOf(kind).map(([subresource, { body, verbs }]) => ({
      subresource,
      responseKind: responseKind(body ?? kind),
      verbs,
    }));
    return {
      resource: kind.resource,
      responseKind: responseKind(kind),
      scope: kind.namespaced ? 'Namespaced' : 'Cluster',
      singularResource: kind.singular,
      verbs: kind.verbs,
      ...(kind.shortNames.length > 0 && { shortNames: kind.shortNames }),
      ...(kind.categories.length > 0 && { categories: kind.categories }),
      ...(subresources.length > 0 && { subresources }),
    };
  });
}

/** From the plain form of discovery, which every server has, to this one. */
function remoteResources(group: string, version: string, resources: readonly RemoteResource[]): object[] {
  const kindOf = (resource: RemoteResource): object =>
    responseKind({ group: resource.group ?? group, version: resource.version ?? version, kind: resource.kind });
  return resources
    .filter(({ name }) => !name.includes('/'))
    .map((resource) => {
      const { name, singularName = '', namespaced, verbs = [], shortNames = [], categories = [] } = resource;
      const subresources = resources
        .filter((candidate) => candidate.name.startsWith(`${name}/`))
        .map((candidate) => ({ subresource: candidate.name.slice(name.length + 1), responseKind: kindOf(candidate), verbs: candidate.verbs ?? [] }));
      return {
        resource: name,
        responseKind: kindOf(resource),
        scope: namespaced === true ? 'Namespaced' : 'Cluster',
        singularResource: singularName,
        verbs,
        ...(shortNames.length > 0 && { shortNames }),
        ...(categories.length > 0 && { categories }),
        ...(subresources.length > 0 && { subresources }),
      };
    });
}

function responseKind({ group, version, kind }: { group: string; version: string; kind: string }): object {
  return { group, version, kind };
}

function subresourcesOf(kind: Kind): [string, Subresource][] {
  return Object.entries(kind.subresources).sort(([a], [b]) => (a < b ? -1 : 1));
}

/** Equal as long as objects are stored in the same form: clients compare it, and do not look inside. */
function storageVersionHash(kind: Kind): string {
  const stored = kind.storedAs?.kind() ?? kind;
  return createHash('sha256')
    .update(`${apiVersionOf({ group: stored.group, version: kind.custom?.storageVersion ?? stored.version })}/${stored.kind}`)
    .digest()
    .subarray(0, 8)
    .toString('base64');
}
