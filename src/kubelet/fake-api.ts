/**
 * A small API server for the kubelet's tests: a map of objects behind the client's transport, with selectors by field, watches, patches and the grace
 * of pod deletion. The real one is used under `test/kubelet/`.
 */
import { allKinds } from '../api/kinds.ts';
import { type Kind, apiVersionOf } from '../api/kind.ts';
import type { ApiRequest, Transport, WatchEvent } from '../client/transport.ts';
import { clone } from '../machinery/clone.ts';
import { type ApiError, alreadyExists, conflict, notFound } from '../machinery/errors.ts';
import { applyMergePatch } from '../machinery/merge-patch.ts';
import type { KubeObject } from '../machinery/object.ts';
import { applyStrategicMerge } from '../machinery/strategic-merge.ts';
import { type World, timestamp } from '../world/world.ts';

export interface FakeApi extends Transport {
  /** Stores an object as the server would after a create. */
  put(object: { kind: string; metadata: { name: string; namespace?: string } } & Record<string, unknown>): KubeObject;
  get(kind: string, name: string, namespace?: string): KubeObject | undefined;
  /** All of a kind. */
  all(kind: string): readonly KubeObject[];
  /** As a client's delete does: a pod bound to a node is only marked, and waits for its kubelet. */
  remove(kind: string, name: string, namespace?: string, graceSeconds?: number): void;
  /** Every request, as `METHOD path`. */
  readonly requests: readonly string[];
  /** Set to make requests fail for a while. */
  failure: ((request: ApiRequest) => ApiError | undefined) | undefined;
}

interface Watcher {
  readonly kind: Kind;
  readonly namespace: string | undefined;
  readonly matches: (object: KubeObject) => boolean;
  readonly push: (event: WatchEvent) => void;
}

interface Target {
  readonly kind: Kind;
  readonly namespace: string | undefined;
  readonly name: string | undefined;
  readonly subresource: string | undefined;
}

export function fakeApi(world: World): FakeApi {
  const objects = new Map<string, KubeObject>();
  const watchers = new Set<Watcher>();
  const requests: string[] = [];
  let revision = 0;

  const keyOf = (kind: Kind, namespace: string | undefined, name: string): string => `${kind.resource}/${namespace ?? ''}/${name}`;
  const kindNamed = (name: string): Kind => {
    const kind = allKinds.find((candidate) => candidate.kind === name);
    if (!kind) throw new Error(`no kind ${name}`);
    return kind;
  };

  function tell(type: 'ADDED' | 'MODIFIED' | 'DELETED', kind: Kind, object: KubeObject): void {
    for (const watcher of watchers) {
      if (watcher.kind === kind && (watcher.namespace === undefined || watcher.namespace === object.metadata.namespace) && watcher.matches(object))
        watcher.push({ type, object });
    }
  }

  function store(kind: Kind, object: KubeObject): KubeObject {
    const key = keyOf(kind, object.metadata.namespace, object.metadata.name);
    const stored = { ...object, metadata: { ...object.metadata, resourceVersion: String(++revision) } };
    const type = objects.has(key) ? 'MODIFIED' : 'ADDED';
    objects.set(key, stored);
    tell(type, kind, stored);
    return stored;
  }

  function create(kind: Kind, body: Record<string, unknown>, namespace: string | undefined): KubeObject {
    const metadata = (body.metadata ?? {}) as Partial<KubeObject['metadata']>;
    const name = metadata.name ?? '';
    if (objects.has(keyOf(kind, namespace, name))) throw alreadyExists(kind, name);
    return store(kind, {
      spec: {},
      status: {},
      ...clone(body),
      apiVersion: apiVersionOf(kind),
      kind: kind.kind,
      metadata: {
        uid: world.random.uid(),
        creationTimestamp: timestamp(world.clock.now()),
        generation: 1,
        ...metadata,
        name,
        resourceVersion: '',
        ...(namespace !== undefined && { namespace }),
      },
    } as KubeObject);
  }

  function drop(kind: Kind, object: KubeObject): void {
    objects.delete(keyOf(kind, object.metadata.namespace, object.metadata.name));
    tell('DELETED', kind, { ...object, metadata: { ...object.metadata, resourceVersion: String(++revision) } });
  }

  function remove(kind: Kind, object: KubeObject, graceSeconds: number | undefined): void {
    const seconds = graceSeconds ?? (kind.kind === 'Pod' ? 30 : 0);
    if (kind.kind !== 'Pod' || seconds === 0) return drop(kind, object);
    if (object.metadata.deletionTimestamp !== undefined && (object.metadata.deletionGracePeriodSeconds ?? 0) <= seconds) return;
    const deletionTimestamp = timestamp(world.clock.now() + seconds * 1000);
    store(kind, { ...object, metadata: { ...object.metadata, deletionTimestamp, deletionGracePeriodSeconds: seconds } });
  }

  function targetOf(path: string): Target {
    const parts = path.split('/').filter((part) => part !== '');
    const group = parts[0] === 'api' ? '' : (parts[1] ?? '');
    const version = parts[0] === 'api' ? parts[1] : parts[2];
    const rest = parts.slice(parts[0] === 'api' ? 2 : 3);
    const namespace = rest[0] === 'namespaces' && rest.length > 2 ? rest[1] : undefined;
    const [resource, name, subresource] = namespace === undefined ? rest : rest.slice(2);
    const kind = allKinds.find((candidate) => candidate.group === group && candidate.version === version && candidate.resource === resource);
    if (!kind) throw new Error(`no kind at ${path}`);
    return { kind, namespace, name, subresource };
  }

  function selection(kind: Kind, selector: string | undefined): (object: KubeObject) => boolean {
    const [field, value] = (selector ?? '').split('=');
    if (field === undefined || field === '') return () => true;
    if (field === 'metadata.name') return (object) => object.metadata.name === value;
    const read = kind.selectableFields[field];
    if (!read) throw new Error(`no field ${field} on ${kind.kind}`);
    return (object) => read(object) === value;
  }

  function request(call: ApiRequest): unknown {
    requests.push(`${call.method} ${call.path}`);
    const failure = api.failure?.(call);
    if (failure) throw failure;
    const { kind, namespace, name, subresource } = targetOf(call.path);
    if (name === undefined) {
      if (call.method === 'POST') return create(kind, call.body as Record<string, unknown>, namespace);
      const matches = selection(kind, call.query?.fieldSelector);
      const items = [...objects.values()].filter(
        (object) => object.kind === kind.kind && (namespace === undefined || object.metadata.namespace === namespace) && matches(object),
      );
      return { apiVersion: apiVersionOf(kind), kind: `${kind.kind}List`, metadata: { resourceVersion: String(revision) }, items };
    }
    if (subresource === 'token') {
      return { status: { token: `token-of-${name}-${requests.length}`, expirationTimestamp: timestamp(world.clock.now() + 3_600_000) } };
    }
    const object = objects.get(keyOf(kind, namespace, name));
    if (!object) throw notFound(kind, name);
    switch (call.method) {
      case 'GET':
        return object;
      case 'PUT':
        return store(kind, clone(call.body) as KubeObject);
      case 'PATCH': {
        const patch = call.body as { metadata?: { uid?: string } };
        if (patch.metadata?.uid !== undefined && patch.metadata.uid !== object.metadata.uid)
          throw conflict(kind, name, 'the uid in the precondition differs');
        const strategic = call.contentType?.includes('strategic') === true;
        const patched = strategic ? applyStrategicMerge(object, patch, kind.schema) : applyMergePatch(object, patch);
        return store(kind, patched as KubeObject);
      }
      case 'DELETE': {
        const options = (call.body ?? {}) as { gracePeriodSeconds?: number; preconditions?: { uid?: string } };
        if (options.preconditions?.uid !== undefined && options.preconditions.uid !== object.metadata.uid)
          throw conflict(kind, name, 'the uid in the precondition differs');
        remove(kind, object, options.gracePeriodSeconds);
        return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success' };
      }
      case 'POST':
        throw new Error(`no POST to ${call.path}`);
    }
  }

  async function* watch(call: ApiRequest): AsyncIterable<WatchEvent> {
    const { kind, namespace } = targetOf(call.path);
    const since = Number(call.query?.resourceVersion ?? '0');
    const matches = selection(kind, call.query?.fieldSelector);
    const queue: WatchEvent[] = [];
    let wake: (() => void) | undefined;
    const push = (event: WatchEvent): void => {
      queue.push(event);
      wake?.();
    };
    for (const object of objects.values()) {
      const isNew = object.kind === kind.kind && Number(object.metadata.resourceVersion) > since;
      if (isNew && (namespace === undefined || object.metadata.namespace === namespace) && matches(object)) queue.push({ type: 'ADDED', object });
    }
    const watcher: Watcher = { kind, namespace, matches, push };
    watchers.add(watcher);
    const stop = (): void => wake?.();
    call.signal?.addEventListener('abort', stop, { once: true });
    try {
      while (call.signal?.aborted !== true) {
        const next = queue.shift();
        if (next) yield next;
        else await new Promise<void>((resolve) => (wake = resolve));
      }
    } finally {
      watchers.delete(watcher);
      call.signal?.removeEventListener('abort', stop);
    }
  }

  const api: FakeApi = {
    shared: true,
    failure: undefined,
    requests,
    request: async (call) => request(call),
    watch,
    close: () => watchers.clear(),
    put: (object) => create(kindNamed(object.kind), object, object.metadata.namespace),
    get: (kind, name, namespace) => objects.get(keyOf(kindNamed(kind), namespace, name)),
    all: (kind) => [...objects.values()].filter((object) => object.kind === kind),
    remove(kindName, name, namespace, graceSeconds) {
      const kind = kindNamed(kindName);
      const object = objects.get(keyOf(kind, namespace, name));
      if (object) remove(kind, object, graceSeconds);
    },
  };
  return api;
}
