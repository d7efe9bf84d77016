/** `apply(yaml)`: manifests as kubectl takes them, applied on the server's side, in an order in which each finds what it needs. */
import { parseAllDocuments } from 'yaml';
import { apiVersionOf, type Kind } from '../../api/kind.ts';
import { allKinds, CustomResourceDefinition, Namespace, ServiceAccount } from '../../api/kinds.ts';
import type { Client } from '../../client/client.ts';
import { isReason } from '../../machinery/errors.ts';
import type { KubeObject } from '../../machinery/object.ts';

/** An object as written in a manifest. */
interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
}

export interface ApplyOptions {
  /** For objects that name none; `default` when absent. */
  readonly namespace?: string;
  /** Who owns the fields; `k8ts` when absent. */
  readonly fieldManager?: string;
}

export interface Applier {
  readonly client: Client;
  /** Whether a namespace gets its service account, and pods there can be made once it has. */
  readonly makesServiceAccounts: boolean;
}

/** Namespaces and definitions first: others live in them and are of them. */
const first: readonly string[] = [Namespace.kind, CustomResourceDefinition.kind];

/** Answers the objects as the server has them, in the order they were written. */
export async function applyManifests(
  applier: Applier,
  source: string | object | readonly object[],
  options: ApplyOptions = {},
): Promise<readonly KubeObject[]> {
  const manifests = manifestsOf(source);
  const applied = new Map<Manifest, KubeObject>();
  const early = manifests.filter(({ kind }) => first.includes(kind));
  for (const manifest of early) applied.set(manifest, await applyOne(applier, manifest, options));
  for (const manifest of manifests) if (!applied.has(manifest)) applied.set(manifest, await applyOne(applier, manifest, options));
  return manifests.flatMap((manifest) => applied.get(manifest) ?? []);
}

function manifestsOf(source: string | object | readonly object[]): readonly Manifest[] {
  const values: unknown[] = [];
  if (typeof source === 'string') {
    for (const document of parseAllDocuments(source)) {
      const [error] = document.errors;
      if (error) throw new TypeError(`the manifest is not YAML: ${error.message}`);
      const value: unknown = document.toJS();
      if (value !== null && value !== undefined) values.push(value);
    }
  } else {
    values.push(...(Array.isArray(source) ? source : [source]));
  }
  return values.flatMap((value) => (isList(value) ? value.items : [value])).map(manifestOf);
}

function isList(value: unknown): value is { readonly items: readonly unknown[] } {
  return (
    typeof value === 'object' &&
    value !== null &&
    'kind' in value &&
    String(value.kind).endsWith('List') &&
    'items' in value &&
    Array.isArray(value.items)
  );
}

function manifestOf(value: unknown): Manifest {
  const fields = typeof value === 'object' && value !== null ? new Map<string, unknown>(Object.entries(value)) : undefined;
  const metadata = fields?.get('metadata');
  for (const field of ['apiVersion', 'kind']) {
    if (typeof fields?.get(field) !== 'string') throw new TypeError(`a manifest has no ${field}: ${JSON.stringify(value)?.slice(0, 200)}`);
  }
  const name = typeof metadata === 'object' && metadata !== null && 'name' in metadata ? metadata.name : undefined;
  if (typeof name !== 'string') throw new TypeError(`a manifest of kind ${String(fields?.get('kind'))} has no metadata.name`);
  // The three fields were just looked at.
  return value as Manifest;
}

async function applyOne(applier: Applier, manifest: Manifest, options: ApplyOptions): Promise<KubeObject> {
  const { client } = applier;
  const { path, namespaced } = await placeOf(client, manifest);
  const { name } = manifest.metadata;
  const namespace = namespaced ? (manifest.metadata.namespace ?? options.namespace ?? 'default') : undefined;
  const object = (await client.transport.request({
    method: 'PATCH',
    path: `${path.root}${namespace === undefined ? '' : `/namespaces/${encodeURIComponent(namespace)}`}/${path.resource}/${encodeURIComponent(name)}`,
    query: { fieldManager: options.fieldManager ?? 'k8ts', force: 'true' },
    contentType: 'application/apply-patch+yaml',
    body: namespace === undefined ? manifest : { ...manifest, metadata: { ...manifest.metadata, namespace } },
  })) as KubeObject;
  if (manifest.kind === Namespace.kind && applier.makesServiceAccounts) await serviceAccountOf(client, name);
  if (manifest.kind === CustomResourceDefinition.kind) await established(client, name);
  return object;
}

interface Place {
  readonly path: { readonly root: string; readonly resource: string };
  readonly namespaced: boolean;
}

/** Where objects of the manifest's kind live: as declared, or as discovery says for custom resources. */
async function placeOf(client: Client, { apiVersion, kind }: Manifest): Promise<Place> {
  const known: Kind | undefined = allKinds.find((candidate) => candidate.kind === kind && apiVersionOf(candidate) === apiVersion);
  const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  if (known) return { path: { root, resource: known.resource }, namespaced: known.namespaced };
  const resources = await discovered(client, root);
  const found = resources.find((resource) => resource.kind === kind && !resource.name.includes('/'));
  if (!found) throw new TypeError(`no matches for kind "${kind}" in version "${apiVersion}"`);
  return { path: { root, resource: found.name }, namespaced: found.namespaced };
}

interface DiscoveredResource {
  readonly name: string;
  readonly kind: string;
  readonly namespaced: boolean;
}

async function discovered(client: Client, root: string): Promise<readonly DiscoveredResource[]> {
  try {
    const answer = (await client.transport.request({ method: 'GET', path: root })) as { readonly resources: readonly DiscoveredResource[] };
    return answer.resources;
  } catch (error) {
    if (isReason(error, 'NotFound')) return [];
    throw error;
  }
}

/** Pods are refused where the account they run as is missing; it comes an instant after its namespace. */
async function serviceAccountOf(client: Client, namespace: string): Promise<void> {
  const accounts = client.resource(ServiceAccount).namespace(namespace);
  const enough = new AbortController();
  for await (const { type, object } of accounts.watch({ fieldSelector: 'metadata.name=default', signal: enough.signal })) {
    if (type !== 'DELETED' && object.metadata.name === 'default') break;
  }
  enough.abort();
}

async function established(client: Client, name: string): Promise<void> {
  const enough = new AbortController();
  for await (const { object } of client.resource(CustomResourceDefinition).watch({ fieldSelector: `metadata.name=${name}`, signal: enough.signal })) {
    if (object.status.conditions?.some(({ type, status }) => type === 'Established' && status === 'True')) break;
  }
  enough.abort();
}
