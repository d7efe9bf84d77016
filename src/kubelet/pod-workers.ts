/** The workers of the pods on one node: one begins when its pod is first heard of, and goes when nothing of the pod is left. Upstream: the kubelet's `SyncLoop`. */
import type { Pod } from '../api/kinds.ts';
import type { Informer } from '../client/informer.ts';
import type { Rejection } from './admission.ts';
import type { KubeletContext } from './context.ts';
import { isMirrorPod } from './pod-spec.ts';
import { PodWorker } from './pod-worker.ts';
import { compareDeferred } from './resize/resize-order.ts';
import { isStaticPod } from './static-pods/manifest.ts';
import type { StaticPods } from './static-pods/static-pods.ts';

export interface PodWorkersOptions {
  readonly context: KubeletContext;
  /** The node's pods in the API. */
  readonly pods: Informer<Pod>;
  readonly statics: StaticPods;
  /** Why the node as it is takes no such pod. */
  readonly refusal: (pod: Pod) => Rejection | undefined;
  /** The node is shared among others than before, or in other parts. */
  readonly onShares: () => void;
}

export class PodWorkers {
  readonly #options: PodWorkersOptions;
  readonly #workers = new Map<string, PodWorker>();
  /** Uids of pods that are through here, while the informer still shows them. */
  readonly #gone = new Set<string>();
  /** Told when a pod has ended, or uses less. */
  readonly #roomListeners = new Set<() => void>();
  #stopFollowing: (() => void) | undefined;
  #closed = false;

  constructor(options: PodWorkersOptions) {
    this.#options = options;
  }

  /** By uid; it changes as pods come and go. */
  get byUid(): ReadonlyMap<string, PodWorker> {
    return this.#workers;
  }

  get(uid: string): PodWorker | undefined {
    return this.#workers.get(uid);
  }

  /** Those that use something of the node. */
  counted(): PodWorker[] {
    return [...this.#workers.values()].filter((worker) => worker.counts());
  }

  /** Looks after the pod from now on, unless someone does already. */
  begin(pod: Pod): void {
    const { context, pods, statics, refusal, onShares } = this.#options;
    const { uid, name, namespace } = pod.metadata;
    if (isMirrorPod(pod)) return statics.mirrorChanged(pod);
    if (this.#workers.has(uid) || this.#gone.has(uid) || this.#closed) return;
    const worker = new PodWorker({
      context,
      pod,
      refusal,
      others: () => this.counted().flatMap((other) => (other === this.#workers.get(uid) ? [] : [other.granted])),
      onRoom: () => {
        this.#wakeWaiting();
        onShares();
        for (const told of this.#roomListeners) told();
      },
      onGone: () => {
        this.#workers.delete(uid);
        context.counters.podGone(uid);
        if (pods.get(name, namespace)?.metadata.uid === uid) this.#gone.add(uid);
        if (isStaticPod(pod)) statics.gone(pod);
        this.#wakeWaiting();
      },
    });
    this.#workers.set(uid, worker);
    onShares();
  }

  /** Begins what the API has for this node, and does from then on what it says. */
  follow(): void {
    const { pods, statics } = this.#options;
    // Pods that run or ended already come first, so that they are counted when new ones are admitted.
    const known = [...pods.list()].sort((a, b) => Number(b.status.startTime !== undefined) - Number(a.status.startTime !== undefined));
    for (const pod of known) this.begin(pod);
    this.#stopFollowing = pods.subscribe({
      added: (pod) => this.begin(pod),
      updated: (pod, old) => {
        if (pod.metadata.uid !== old.metadata.uid) this.#removed(old);
        this.begin(pod);
        this.#workers.get(pod.metadata.uid)?.update(pod);
      },
      deleted: (pod) => {
        if (isMirrorPod(pod)) return statics.mirrorChanged(pod);
        this.#removed(pod);
      },
    });
  }

  wakeAll(): void {
    for (const worker of this.#workers.values()) worker.wake();
  }

  retryVolumes(): void {
    for (const worker of this.#workers.values()) worker.retryVolumes();
  }

  clockJumped(): void {
    for (const worker of this.#workers.values()) worker.clockJumped();
  }

  /** Answers the way to stop. */
  onRoom(callback: () => void): () => void {
    this.#roomListeners.add(callback);
    return () => void this.#roomListeners.delete(callback);
  }

  close(): void {
    this.#closed = true;
    this.#stopFollowing?.();
    for (const worker of this.#workers.values()) worker.close();
    this.#workers.clear();
  }

  /** The API has it no more. */
  #removed({ metadata: { uid } }: Pod): void {
    this.#gone.delete(uid);
    this.#workers.get(uid)?.removed();
  }

  /** Someone left room: resizes that waited for it are looked at again. */
  #wakeWaiting(): void {
    const waiting = [...this.#workers.values()].filter((worker) => worker.waitsForRoom);
    for (const worker of waiting.sort((a, b) => compareDeferred(a.pod, b.pod))) worker.wake();
  }
}
