/** Follows pods from when they are first seen until they run, for the kubelet's histograms of starts. */
import type { Pod } from '../../api/kinds.ts';
import type { Informer } from '../../client/informer.ts';
import type { Clock } from '../../world/world.ts';
import type { KubeletCounters } from './kubelet-counters.ts';

/** Answers how to stop. */
export function watchPodStarts(pods: Informer<Pod>, counters: KubeletCounters, clock: Clock): () => void {
  const seen = ({ metadata: { uid, creationTimestamp }, status }: Pod): void =>
    counters.podSeen(uid, { phase: status.phase, createdMs: Date.parse(creationTimestamp ?? ''), nowMs: clock.now() });
  return pods.subscribe({ added: seen, updated: seen, deleted: ({ metadata }) => counters.podGone(metadata.uid) });
}
