/** For tests of this folder: as much of an API server as a client can tell apart, in memory, with its failures under the test's control. */
import { alreadyExists, type ApiError, conflict, expired, notFound } from '../machinery/errors.ts';
import type { KubeObject } from '../machinery/object.ts';
import type { ApiRequest, Transport, WatchEvent } from './transport.ts';

interface Watcher {
  readonly path: string;
  readonly push: (event: WatchEvent | Error | undefined) => void;
}

export class FakeTransport implements Transport {
  readonly shared = false;
  readonly requests: ApiRequest[] = [];
  /** Thrown, one each, by the next requests and watches. */
  readonly failures: Error[] = [];
  /** Called before a request is carried out. */
  onRequest: ((request: ApiRequest) => void) | undefined;
  /** Watches from before this version are answered with 410. */
  oldestVersion = 0;
  readonly #objects = new Map<string, KubeObject>();
  readonly #history: { version: number; path: string; event: WatchEvent }[] = [];
  readonly #watchers = new Set<Watcher>();
  #version = 0;

  async request(request: ApiRequest): Promise<unknown> {
    this.#begin(request);
    await Promise.resolve();
    request.signal?.throwIfAborted();
    const { path, body } = request;
    switch (request.method) {
      case 'GET': {
        const found = this.#objects.get(path);
        if (found) return structuredClone(found);
        if (isObjectPath(path)) throw missing(path);
        return this.#list(path);
      }
      case 'POST': {
        const draft = body as KubeObject;
        const objectPath = `${path}/${draft.metadata.name}`;
        if (this.#objects.has(objectPath)) throw alreadyExists({ group: '', resource: nameAt(path) }, draft.metadata.name);
        return this.set(objectPath, draft);
      }
      case 'PUT': {
        const old = this.#objects.get(path);
        const object = body as KubeObject;
        if (!old) throw missing(path);
        const { resourceVersion } = object.metadata;
        if (resourceVersion && resourceVersion !== old.metadata.resourceVersion)
          throw conflict({ group: '', resource: 'objects' }, object.metadata.name);
        return this.set(path, object);
      }
      case 'PATCH': {
        const old = this.#objects.get(path);
        if (!old) throw missing(path);
        return this.set(path, { ...old, ...body });
      }
      case 'DELETE':
        this.delete(path);
        return { kind: 'Status', status: 'Success' };
    }
  }

  async *watch(request: ApiRequest): AsyncGenerator<WatchEvent> {
    this.#begin(request);
    const after = Number(request.query?.['resourceVersion'] ?? 0);
    if (after < this.oldestVersion) throw expired('too old resource version');
    const queue: (WatchEvent | Error | undefined)[] = this.#history
      .filter(({ version, path }) => version > after && isBelow(path, request.path))
      .map(({ event }) => event);
    let wake = (): void => undefined;
    const push = (event: WatchEvent | Error | undefined): void => {
      queue.push(event);
      wake();
    };
    const watcher: Watcher = { path: request.path, push };
    const onAbort = (): void => push(undefined);
    this.#watchers.add(watcher);
    request.signal?.addEventListener('abort', onAbort, { once: true });
    try {
      for (;;) {
        while (queue.length > 0) {
          const event = queue.shift();
          if (event === undefined || request.signal?.aborted) return;
          if (event instanceof Error) throw event;
          yield event;
        }
        await new Promise<void>((resolve) => (wake = resolve));
      }
    } finally {
      this.#watchers.delete(watcher);
      request.signal?.removeEventListener('abort', onAbort);
    }
  }

  close(): void {
    this.endWatches();
  }

  /** Writes as another client would. */
  set(path: string, object: KubeObject): KubeObject {
    const version = ++this.#version;
    const old = this.#objects.get(path);
    const metadata = { ...object.metadata, uid: old?.metadata.uid ?? `uid-${version}`, resourceVersion: String(version) };
    const stored = { ...object, metadata };
    this.#objects.set(path, stored);
    this.#announce(version, path, { type: old ? 'MODIFIED' : 'ADDED', object: stored });
    return structuredClone(stored);
  }

  get(path: string): KubeObject | undefined {
    return this.#objects.get(path);
  }

  delete(path: string): void {
    const old = this.#objects.get(path);
    if (!old) throw missing(path);
    this.#objects.delete(path);
    const version = ++this.#version;
    this.#announce(version, path, { type: 'DELETED', object: { ...old, metadata: { ...old.metadata, resourceVersion: String(version) } } });
  }

  bookmark(): void {
    const metadata = { name: '', uid: '', creationTimestamp: '', resourceVersion: String(this.#version) };
    for (const { push } of this.#watchers) push({ type: 'BOOKMARK', object: { apiVersion: 'v1', kind: 'Pod', metadata } });
  }

  /** Ends all watches, in the regular way or with an error. */
  endWatches(error?: Error): void {
    for (const { push } of this.#watchers) push(error);
  }

  watches(): number {
    return this.#watchers.size;
  }

  get version(): number {
    return this.#version;
  }

  #begin(request: ApiRequest): void {
    this.requests.push(request);
    this.onRequest?.(request);
    const failure = this.failures.shift();
    if (failure) throw failure;
  }

  #list(path: string): object {
    const items = [...this.#objects].filter(([objectPath]) => isBelow(objectPath, path)).map(([, object]) => object);
    return { apiVersion: 'v1', kind: 'List', metadata: { resourceVersion: String(this.#version) }, items: structuredClone(items) };
  }

  #announce(version: number, path: string, event: WatchEvent): void {
    this.#history.push({ version, path, event });
    for (const watcher of this.#watchers) if (isBelow(path, watcher.path)) watcher.push(event);
  }
}

/** `/api/v1/namespaces/a/pods/x` lies below `/api/v1/namespaces/a/pods` and `/api/v1/pods`. */
function isBelow(path: string, collection: string): boolean {
  const parent = path.slice(0, path.lastIndexOf('/'));
  return parent === collection || parent.replace(/\/namespaces\/[^/]+/, '') === collection;
}

function isObjectPath(path: string): boolean {
  const below = path.replace(/^\/(api\/v1|apis\/[^/]+\/[^/]+)/, '').replace(/^\/namespaces\/[^/]+\//, '/');
  return below.split('/').length > 2;
}

function nameAt(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

function missing(path: string): ApiError {
  return notFound({ group: '', resource: 'objects' }, nameAt(path));
}
