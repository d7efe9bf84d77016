/**
 * Pods that the node runs from files, whether or not the API can be reached, and their mirrors: objects in the API that show them there. Deleting a mirror
 * stops nothing, as it is made anew; changing or removing the file does. Upstream: the kubelet's file source and mirror client.
 */
import { Pod } from '../../api/node-kinds.ts';
import type { Client } from '../../client/client.ts';
import { isReason } from '../../machinery/errors.ts';
import { type Timer, type World, timestamp } from '../../world/world.ts';
import { messageOf } from '../handler.ts';
import { isMirrorPod } from '../pod-spec.ts';
import { hashAnnotation, mirrorAnnotation, podOfManifest } from './manifest.ts';
import type { Manifests } from './manifest-directory.ts';

export interface StaticPodsOptions {
  readonly world: World;
  readonly client: Client;
  readonly manifests: Manifests;
  readonly nodeName: string;
  /** Its uid, once it is registered. */
  readonly nodeUid: () => string | undefined;
  /** The node's pods in the API. */
  readonly inApi: () => readonly Pod[];
  readonly begin: (pod: Pod) => void;
  /** The pod is to end: it comes with a deletion timestamp. */
  readonly end: (pod: Pod) => void;
  /** The mirror of this pod came, changed or went. */
  readonly onMirror: (uid: string) => void;
}

export interface StaticPods {
  /** Reads the files and begins what they hold. */
  start(): Promise<void>;
  /** From now on the API's answer counts: mirrors are made, and those of pods that are no more removed. */
  apiKnown(): void;
  /** Something happened to one of the node's mirrors. */
  mirrorChanged(mirror: Pod): void;
  mirrorOf(pod: Pod): Pod | undefined;
  /** Nothing of this pod is left on the node. */
  gone(pod: Pod): void;
  close(): void;
}

const retryMs = 1000;

export function createStaticPods(options: StaticPodsOptions): StaticPods {
  const { world, client, manifests, nodeName, begin, end } = options;
  const log = world.log.child('static-pods');
  /** By `namespace/name`: a pod whose file changed waits until the old one has ended. */
  const wanted = new Map<string, Pod>();
  const running = new Map<string, Pod>();
  const ending = new Set<string>();
  /** What the last good version of each file said. */
  const read = new Map<string, { text: string; pod: Pod }>();
  const complaints = new Map<string, string>();
  const closed = new AbortController();
  let stopWatching: (() => void) | undefined;
  let retry: Timer | undefined;
  let reading: Promise<void> | undefined;
  let readAgain = false;
  let mirroring: Promise<void> | undefined;
  let mirrorAgain = false;
  let isApiKnown = false;

  function complain(path: string, message: string): void {
    if (complaints.get(path) === message) return;
    complaints.set(path, message);
    log.warn('a manifest cannot be used; what its file said before holds', { path, error: message });
  }

  async function readAll(): Promise<void> {
    const files = await manifests.read();
    const paths = new Set(files.map(({ path }) => path));
    for (const path of read.keys()) if (!paths.has(path)) read.delete(path);
    for (const path of complaints.keys()) if (!paths.has(path)) complaints.delete(path);
    for (const file of files) {
      if (read.get(file.path)?.text === file.text) continue;
      try {
        read.set(file.path, { text: file.text, pod: podOfManifest(file, nodeName, timestamp(world.clock.now())) });
        complaints.delete(file.path);
      } catch (error) {
        complain(file.path, messageOf(error));
      }
    }
    wanted.clear();
    for (const { path } of files) {
      const pod = read.get(path)?.pod;
      if (!pod) continue;
      const key = keyOf(pod);
      if (wanted.has(key)) complain(path, `another file holds a pod ${key} already`);
      else wanted.set(key, pod);
    }
    settle();
  }

  function settle(): void {
    for (const [key, pod] of running) {
      if (wanted.get(key)?.metadata.uid === pod.metadata.uid || ending.has(pod.metadata.uid)) continue;
      ending.add(pod.metadata.uid);
      const graceSeconds = pod.spec.terminationGracePeriodSeconds ?? 30;
      const deletionTimestamp = timestamp(world.clock.now() + graceSeconds * 1000);
      end({ ...pod, metadata: { ...pod.metadata, deletionTimestamp, deletionGracePeriodSeconds: graceSeconds } });
    }
    for (const [key, pod] of wanted) {
      if (running.has(key)) continue;
      running.set(key, pod);
      const said = mirrorOf(pod)?.status;
      begin(said ? { ...pod, status: said } : pod);
    }
    mirror();
  }

  function look(): void {
    if (closed.signal.aborted) return;
    if (reading) {
      readAgain = true;
      return;
    }
    reading = readAll()
      .catch((error: unknown) => log.warn('reading manifests failed', { error: messageOf(error) }))
      .finally(() => {
        reading = undefined;
        if (!readAgain) return;
        readAgain = false;
        look();
      });
  }

  function mirrors(): readonly Pod[] {
    return options.inApi().filter(isMirrorPod);
  }

  function mirrorOf(pod: Pod): Pod | undefined {
    const key = keyOf(pod);
    return mirrors().find(
      (mirror) => keyOf(mirror) === key && mirror.metadata.annotations?.[mirrorAnnotation] === pod.metadata.annotations?.[hashAnnotation],
    );
  }

  async function mirrorAll(): Promise<void> {
    const nodeUid = options.nodeUid();
    for (const mirror of mirrors()) {
      const pod = running.get(keyOf(mirror));
      // The mirror of a pod that ends goes with it.
      if (pod && ending.has(pod.metadata.uid)) continue;
      if (pod && mirror.metadata.deletionTimestamp === undefined && mirrorOf(pod) === mirror) continue;
      await removeMirror(client, mirror, closed.signal);
    }
    for (const [key, pod] of running) {
      if (ending.has(pod.metadata.uid) || mirrors().some((mirror) => keyOf(mirror) === key)) continue;
      if (nodeUid === undefined) throw new Error('the node is not registered yet');
      await createMirror(pod, nodeUid);
    }
  }

  async function createMirror(pod: Pod, nodeUid: string): Promise<void> {
    const { name, namespace, labels, annotations } = pod.metadata;
    const owner = { apiVersion: 'v1', kind: 'Node', name: nodeName, uid: nodeUid, controller: true };
    const mirrored = { ...annotations, [mirrorAnnotation]: annotations?.[hashAnnotation] ?? '' };
    try {
      await client
        .resource(Pod)
        .namespace(namespace)
        .create(
          { metadata: { name, ...(labels && { labels }), annotations: mirrored, ownerReferences: [owner] }, spec: pod.spec },
          { signal: closed.signal },
        );
    } catch (error) {
      if (!isReason(error, 'AlreadyExists')) throw error;
    }
  }

  function mirror(): void {
    if (!isApiKnown || closed.signal.aborted) return;
    if (mirroring) {
      mirrorAgain = true;
      return;
    }
    retry?.cancel();
    mirroring = mirrorAll()
      .catch((error: unknown) => {
        if (closed.signal.aborted) return;
        log.debug('mirroring pods failed; trying again', { error: messageOf(error) });
        retry = world.clock.after(retryMs, mirror);
      })
      .finally(() => {
        mirroring = undefined;
        if (!mirrorAgain) return;
        mirrorAgain = false;
        mirror();
      });
  }

  return {
    async start() {
      stopWatching = manifests.watch(look);
      look();
      await reading;
    },
    apiKnown() {
      isApiKnown = true;
      mirror();
    },
    mirrorChanged(changed) {
      const pod = running.get(keyOf(changed));
      if (pod) options.onMirror(pod.metadata.uid);
      mirror();
    },
    mirrorOf,
    gone(pod) {
      const key = keyOf(pod);
      ending.delete(pod.metadata.uid);
      if (running.get(key)?.metadata.uid === pod.metadata.uid) running.delete(key);
      settle();
    },
    close() {
      closed.abort(new Error('the kubelet was closed'));
      retry?.cancel();
      stopWatching?.();
    },
  };
}

/** At once, and only this one: what a mirror shows goes on. */
export async function removeMirror(client: Client, { metadata }: Pod, signal?: AbortSignal): Promise<void> {
  const { name, namespace, uid } = metadata;
  try {
    await client
      .resource(Pod)
      .namespace(namespace)
      .delete(name, { gracePeriodSeconds: 0, preconditions: { uid }, ...(signal && { signal }) });
  } catch (error) {
    if (!isReason(error, 'NotFound', 'Conflict')) throw error;
  }
}

function keyOf({ metadata }: Pod): string {
  return `${metadata.namespace}/${metadata.name}`;
}
