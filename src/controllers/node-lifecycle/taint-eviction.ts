/** Deletes pods from nodes whose `NoExecute` taints they do not tolerate, at once or when their patience ends. Upstream's `tainteviction`. */
import { Node, type Pod } from '../../api/kinds.ts';
import type { V1Taint, V1Toleration } from '../../api/types.ts';
import { equal } from '../../machinery/equal.ts';
import { keyOf, splitKey } from '../../machinery/object.ts';
import { tolerates } from '../../machinery/tolerations.ts';
import { timestamp } from '../../world/world.ts';
import type { ControllerDefinition } from '../controller.ts';
import { disruptPod } from '../disrupt-pod.ts';
import { podsOnNode, watchPodsByNode } from '../pods.ts';

export const taintEvictionController: ControllerDefinition = {
  name: 'taint-eviction-controller',
  serviceAccount: 'taint-eviction-controller',
  setup(context) {
    const { client, world, events } = context;
    /** When each pod on a tainted node first was seen there, by UID: what its patience is counted from. */
    const waiting = new Map<string, number>();

    const pods = watchPodsByNode(context, {
      added: (pod) => enqueueIfTainted(pod),
      updated: (pod, old) => {
        if (pod.spec.nodeName !== old.spec.nodeName || !equal(pod.spec.tolerations, old.spec.tolerations)) enqueueIfTainted(pod);
      },
      deleted: (pod) => waiting.delete(pod.metadata.uid),
    });
    const enqueueAll = (node: Node): void => {
      for (const pod of podsOnNode(pods, node.metadata.name)) context.enqueue(keyOf(pod));
    };
    const nodes = context.watch(Node, {
      added: (node) => {
        if (noExecuteTaints(node).length > 0) enqueueAll(node);
      },
      updated(node, old) {
        if (!equal(noExecuteTaints(node), noExecuteTaints(old))) enqueueAll(node);
      },
    });
    function enqueueIfTainted(pod: Pod): void {
      if (pod.spec.nodeName) context.enqueue(keyOf(pod));
    }

    return {
      async reconcile(key) {
        const { namespace = '', name } = splitKey(key);
        const pod = pods.get(name, namespace);
        const node = nodes.get(pod?.spec.nodeName ?? '');
        if (!pod || !node || pod.metadata.deletionTimestamp !== undefined) return;
        const { uid } = pod.metadata;
        const nowMs = world.clock.now();
        const sinceMs = waiting.get(uid) ?? nowMs;
        const atMs = evictionTime(pod.spec.tolerations ?? [], noExecuteTaints(node), sinceMs);
        if (atMs === undefined) {
          if (waiting.delete(uid)) events.event(pod, 'Normal', 'TaintManagerEviction', `Cancelling deletion of Pod ${key}`);
          return;
        }
        if (atMs > nowMs) {
          waiting.set(uid, sinceMs);
          return { requeueAfterMs: atMs - nowMs };
        }

        events.event(pod, 'Normal', 'TaintManagerEviction', `Marking for deletion Pod ${key}`);
        const message = 'Taint manager: deleting due to NoExecute taint';
        await disruptPod(client, pod, { reason: 'DeletionByTaintManager', message, now: timestamp(nowMs) });
        waiting.delete(uid);
        return;
      },
    };
  },
};

function noExecuteTaints({ spec }: Node): readonly V1Taint[] {
  return (spec.taints ?? []).filter(({ effect }) => effect === 'NoExecute');
}

/** When a pod must go, in epoch ms: `sinceMs` for at once, undefined for never. */
export function evictionTime(tolerations: readonly V1Toleration[], taints: readonly V1Taint[], sinceMs: number): number | undefined {
  if (taints.length === 0) return undefined;
  let patience = Infinity;
  for (const taint of taints) {
    const matching = tolerations.filter((toleration) => tolerates(toleration, taint));
    if (matching.length === 0) return sinceMs;
    for (const { tolerationSeconds } of matching) {
      if (tolerationSeconds !== undefined) patience = Math.min(patience, Math.max(0, tolerationSeconds));
    }
  }
  return patience === Infinity ? undefined : sinceMs + patience * 1000;
}
