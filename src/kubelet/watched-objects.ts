/**
 * ConfigMaps and Secrets that pods on this node refer to, each watched by name while any pod needs it. A node may read only what its pods refer to,
 * so one informer for all is not allowed to it. Upstream: the watching object manager.
 */
import type { Kind } from '../api/kind.ts';
import type { Client } from '../client/client.ts';
import type { KubeObject } from '../machinery/object.ts';
import { isReason } from '../machinery/errors.ts';
import type { Timer, World } from '../world/world.ts';

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

/**
 * A watch goes on so long after its last pod let go of it: the next pod of the node often asks for the same (each for `kube-root-ca.crt`), and to list and to
 * watch anew costs more than starting a simulated pod does.
 */
const lingerMs = 5000;
/** A watch that lasted so long ended in the ordinary way. */
const longWatchMs = 10_000;

/** One for all: to make an error takes longer than to end a watch. */
const nobodyAsks = new Error('no pod of the node asks for it any more');

interface Entry {
  current: KubeObject | undefined;
  first: Promise<void>;
  /** The last list or watch went well: what is known is as good as a new read. */
  isFresh: boolean;
  /** Nobody needs it any more; it ends then. */
  end: Timer | undefined;
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
    const entry: Entry = { current: undefined, first: Promise.resolve(), isFresh: false, end: undefined, listeners: new Set(), stop };
    const resource = client.resource(kind).namespace(namespace);
    const fieldSelector = `metadata.name=${name}`;
    const { signal } = stop;

    const list = async (): Promise<string> => {
      const { items, metadata } = await resource.list({ fieldSelector, signal });
      set(items[0]);
      entry.isFresh = true;
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
        entry.isFresh = false;
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

  function end(key: string, entry: Entry): void {
    entry.end?.cancel();
    entry.stop.abort(nobodyAsks);
    if (entries.get(key) === entry) entries.delete(key);
  }

  return {
    acquire<T extends KubeObject>(kind: Kind<T>, namespace: string, name: string, onChange: () => void): Watched<T> {
      const key = `${kind.resource}/${namespace}/${name}`;
      let entry = entries.get(key);
      if (!entry) entries.set(key, (entry = start(kind, namespace, name)));
      const mine = entry;
      mine.end?.cancel();
      mine.end = undefined;
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
          if (mine.isFresh) mine.end = world.clock.after(lingerMs, () => end(key, mine));
          else end(key, mine);
        },
      };
    },
    close() {
      closed = true;
      for (const [key, entry] of entries) end(key, entry);
    },
  };
}
