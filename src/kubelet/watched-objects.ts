/**
 * ConfigMaps and Secrets that pods on this node refer to, each watched by name while any pod needs it. A node may read only what its pods refer to,
 * so one informer for all is not allowed to it. Upstream: the watching object manager.
 */
import type { Kind } from '../api/kind.ts';
import type { Client } from '../client/client.ts';
import type { KubeObject } from '../machinery/object.ts';
import { isReason } from '../machinery/errors.ts';
import type { World } from '../world/world.ts';

export interface Watched<T extends KubeObject> {
  /** The object as of now, undefined when it does not exist; waits for the first read. Rejects when that read was refused. */
  read(): Promise<T | undefined>;
  release(): void;
}

export interface WatchedObjects {
  /** `onChange` is called after the first read whenever the object changes, appears or goes. */
  acquire<T extends KubeObject>(kind: Kind<T>, namespace: string, name: string, onChange: () => void): Watched<T>;
  close(): void;
}

/** A watch that lasted so long ended in the ordinary way. */
const longWatchMs = 10_000;

interface Entry {
  current: KubeObject | undefined;
  first: Promise<void>;
  readonly listeners: Set<() => void>;
  readonly stop: AbortController;
}

export function createWatchedObjects(client: Client, world: World): WatchedObjects {
  const log = world.log.child('watched-objects');
  const entries = new Map<string, Entry>();
  let closed = false;

  function start<T extends KubeObject>(kind: Kind<T>, namespace: string, name: string): Entry {
    const stop = new AbortController();
    // A pod that was being prepared when the kubelet was closed may still ask.
    if (closed) stop.abort(new Error('the kubelet was closed'));
    const entry: Entry = { current: undefined, first: Promise.resolve(), listeners: new Set(), stop };
    const resource = client.resource(kind).namespace(namespace);
    const fieldSelector = `metadata.name=${name}`;
    const { signal } = stop;

    const list = async (): Promise<string> => {
      const { items, metadata } = await resource.list({ fieldSelector, signal });
      set(items[0]);
      return metadata.resourceVersion;
    };
    const set = (object: KubeObject | undefined): void => {
      if (object?.metadata.resourceVersion === entry.current?.metadata.resourceVersion && object?.metadata.uid === entry.current?.metadata.uid)
        return;
      entry.current = object;
      for (const told of entry.listeners) told();
    };
    const follow = async (firstVersion: Promise<string>): Promise<void> => {
      let version: string | undefined = await firstVersion.catch(() => undefined);
      let failures = 0;
      while (!signal.aborted) {
        const startMs = world.clock.now();
        try {
          if (version === undefined) {
            const again = list();
            entry.first = again.then(() => {});
            entry.first.catch(() => {});
            version = await again;
          }
          for await (const event of resource.watch({ fieldSelector, resourceVersion: version, allowWatchBookmarks: true, signal })) {
            failures = 0;
            version = event.object.metadata.resourceVersion;
            if (event.type !== 'BOOKMARK') set(event.type === 'DELETED' ? undefined : event.object);
          }
        } catch (error) {
          if (signal.aborted) return;
          if (isReason(error, 'Expired', 'Gone')) version = undefined;
          log.debug('watching an object failed', { kind: kind.kind, namespace, name, error: String(error) });
        }
        failures = world.clock.now() - startMs > longWatchMs ? 0 : failures + 1;
        // A watch that ends at once, again and again, must not spin.
        if (failures > 1) await world.clock.sleep(Math.min(1000 * 2 ** (failures - 2), 30_000), signal).catch(() => {});
      }
    };

    const firstVersion = list();
    entry.first = firstVersion.then(() => {});
    entry.first.catch(() => {});
    void follow(firstVersion);
    return entry;
  }

  return {
    acquire<T extends KubeObject>(kind: Kind<T>, namespace: string, name: string, onChange: () => void): Watched<T> {
      const key = `${kind.resource}/${namespace}/${name}`;
      let entry = entries.get(key);
      if (!entry) entries.set(key, (entry = start(kind, namespace, name)));
      const mine = entry;
      const listener = (): void => onChange();
      mine.listeners.add(listener);
      return {
        async read() {
          await mine.first;
          // What was listed and watched as this kind is of this kind.
          return mine.current as T | undefined;
        },
        release() {
          if (!mine.listeners.delete(listener) || mine.listeners.size > 0) return;
          mine.stop.abort();
          entries.delete(key);
        },
      };
    },
    close() {
      closed = true;
      for (const entry of entries.values()) entry.stop.abort();
      entries.clear();
    },
  };
}
