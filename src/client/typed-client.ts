/** The typed client over any transport: turns a kind's declaration into paths, and drafts into whole bodies. Upstream's client-go clientsets, without generated code. */
import { apiVersionOf, type Kind } from '../api/kind.ts';
import type { Draft, KubeList, KubeObject } from '../machinery/object.ts';
import type { Client, DeleteOptions, ListOptions, PatchOptions, PatchType, ResourceClient, WatchOptions, WriteOptions } from './client.ts';
import type { ApiRequest, Transport, WatchEvent } from './transport.ts';

const patchContentTypes: Readonly<Record<PatchType, string>> = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  // JSON is YAML.
  apply: 'application/apply-patch+yaml',
};

export function createClient(transport: Transport): Client {
  return {
    transport,
    resource: <T extends KubeObject>(kind: Kind<T>): ResourceClient<T> => new TypedResourceClient(transport, kind, undefined),
  };
}

/** `/api/v1/namespaces/x/pods/y/log`: where a kind, an object or its subresource lives. Without a namespace, all of them. */
export function resourcePath(kind: Kind, namespace: string | undefined, name?: string, subresource?: string): string {
  let path = kind.group === '' ? `/api/${kind.version}` : `/apis/${kind.group}/${kind.version}`;
  if (kind.namespaced && namespace !== undefined) path += `/namespaces/${encodeURIComponent(namespace)}`;
  path += `/${kind.resource}`;
  if (name !== undefined) path += `/${encodeURIComponent(name)}`;
  if (subresource !== undefined) path += `/${subresource}`;
  return path;
}

class TypedResourceClient<T extends KubeObject> implements ResourceClient<T> {
  readonly #transport: Transport;
  readonly #kind: Kind<T>;
  readonly #namespace: string | undefined;

  constructor(transport: Transport, kind: Kind<T>, namespace: string | undefined) {
    this.#transport = transport;
    this.#kind = kind;
    this.#namespace = namespace;
  }

  namespace(namespace: string): ResourceClient<T> {
    return new TypedResourceClient(this.#transport, this.#kind, namespace);
  }

  async get(name: string, options: { readonly signal?: AbortSignal } = {}): Promise<T> {
    return this.#object({ method: 'GET', path: this.#path(this.#namespace, name), ...signalOf(options) });
  }

  async list(options: ListOptions = {}): Promise<KubeList<T>> {
    const path = resourcePath(this.#kind, this.#namespace);
    const list = (await this.#transport.request({ method: 'GET', path, query: listQuery(options), ...signalOf(options) })) as KubeList<T>;
    return this.#typed(list);
  }

  watch(options: WatchOptions = {}): AsyncIterable<WatchEvent<T>> {
    const query: Record<string, string> = { ...listQuery(options), watch: '1' };
    if (options.allowWatchBookmarks) query['allowWatchBookmarks'] = 'true';
    if (options.timeoutSeconds !== undefined) query['timeoutSeconds'] = String(options.timeoutSeconds);
    const path = resourcePath(this.#kind, this.#namespace);
    return this.#transport.watch({ method: 'GET', path, query, ...signalOf(options) }) as AsyncIterable<WatchEvent<T>>;
  }

  async create(draft: Draft<T>, options: WriteOptions = {}): Promise<T> {
    const path = this.#path(this.#namespace ?? draft.metadata.namespace);
    return this.#object({ method: 'POST', path, query: writeQuery(options), body: this.#whole(draft), ...signalOf(options) });
  }

  async update(object: T, options: WriteOptions = {}): Promise<T> {
    return this.#put(object, undefined, options);
  }

  async updateStatus(object: T, options: WriteOptions = {}): Promise<T> {
    return this.#put(object, 'status', options);
  }

  async patch(name: string, patch: object, options: PatchOptions = {}): Promise<T> {
    const type = options.type ?? 'merge';
    const query: Record<string, string> = writeQuery(options);
    if (type === 'apply' && options.force !== undefined) query['force'] = String(options.force);
    return this.#object({
      method: 'PATCH',
      path: this.#path(this.#namespace, name, options.subresource),
      query,
      body: type === 'apply' ? this.#whole(patch) : patch,
      contentType: patchContentTypes[type],
      ...signalOf(options),
    });
  }

  async delete(name: string, options: DeleteOptions = {}): Promise<void> {
    await this.#transport.request({ method: 'DELETE', path: this.#path(this.#namespace, name), ...deleteBody(options), ...signalOf(options) });
  }

  async deleteCollection(options: ListOptions & DeleteOptions = {}): Promise<void> {
    const path = this.#path(this.#namespace);
    await this.#transport.request({ method: 'DELETE', path, query: listQuery(options), ...deleteBody(options), ...signalOf(options) });
  }

  async createSubresource<R = KubeObject>(name: string, subresource: string, body: object): Promise<R> {
    return (await this.#transport.request({ method: 'POST', path: this.#path(this.#namespace, name, subresource), body })) as R;
  }

  async getSubresource<R = KubeObject>(name: string, subresource: string): Promise<R> {
    return (await this.#transport.request({ method: 'GET', path: this.#path(this.#namespace, name, subresource) })) as R;
  }

  async #put(object: T, subresource: string | undefined, options: WriteOptions): Promise<T> {
    const { name, namespace } = object.metadata;
    const path = this.#path(namespace ?? this.#namespace, name, subresource);
    return this.#object({ method: 'PUT', path, query: writeQuery(options), body: this.#whole(object), ...signalOf(options) });
  }

  async #object(request: ApiRequest): Promise<T> {
    return (await this.#transport.request(request)) as T;
  }

  /** The path of one object, or of a namespace's objects: what only makes sense inside a namespace, for a kind that lives in one. */
  #path(namespace: string | undefined, name?: string, subresource?: string): string {
    const kind = this.#kind;
    if (kind.namespaced && namespace === undefined) throw new Error(`${kind.resource}${name === undefined ? '' : ` "${name}"`} needs a namespace`);
    return resourcePath(kind, namespace, name, subresource);
  }

  #whole(object: object): object {
    if ('apiVersion' in object && 'kind' in object && object.apiVersion !== undefined && object.kind !== undefined) return object;
    return { ...object, apiVersion: apiVersionOf(this.#kind), kind: this.#kind.kind };
  }

  /** Items of a list carry no `apiVersion` and `kind` on the wire; ours always do. */
  #typed(list: KubeList<T>): KubeList<T> {
    const [first] = list.items;
    if (first === undefined || first.kind !== undefined) return list;
    const apiVersion = apiVersionOf(this.#kind);
    const { kind } = this.#kind;
    return { ...list, items: list.items.map((item) => ({ ...item, apiVersion, kind })) };
  }
}

function listQuery(options: ListOptions): Record<string, string> {
  const query: Record<string, string> = {};
  if (options.labelSelector) query['labelSelector'] = options.labelSelector;
  if (options.fieldSelector) query['fieldSelector'] = options.fieldSelector;
  if (options.limit !== undefined) query['limit'] = String(options.limit);
  if (options.continue) query['continue'] = options.continue;
  if (options.resourceVersion !== undefined) query['resourceVersion'] = options.resourceVersion;
  return query;
}

function writeQuery({ fieldManager, dryRun }: WriteOptions): Record<string, string> {
  return { ...(fieldManager !== undefined && { fieldManager }), ...(dryRun && { dryRun: 'All' }) };
}

function deleteBody({ gracePeriodSeconds, propagationPolicy, preconditions, dryRun }: DeleteOptions): Pick<ApiRequest, 'body'> {
  if (gracePeriodSeconds === undefined && propagationPolicy === undefined && preconditions === undefined && !dryRun) return {};
  return {
    body: {
      apiVersion: 'v1',
      kind: 'DeleteOptions',
      ...(gracePeriodSeconds !== undefined && { gracePeriodSeconds }),
      ...(propagationPolicy !== undefined && { propagationPolicy }),
      ...(preconditions !== undefined && { preconditions }),
      ...(dryRun && { dryRun: ['All'] }),
    },
  };
}

function signalOf({ signal }: { readonly signal?: AbortSignal }): Pick<ApiRequest, 'signal'> {
  return signal ? { signal } : {};
}
