/**
 * Notices nodes that fell silent, says so in their conditions, taints nodes by condition, and marks the pods of dead ones not ready. Upstream's
 * `pkg/controller/nodelifecycle`; instead of looking at all nodes every five seconds, each has an alarm that its heartbeats put off.
 */
import { Lease, Node, Pod } from '../../api/kinds.ts';
import type { V1NodeCondition } from '../../api/types.ts';
import { equal } from '../../machinery/equal.ts';
import { isReason } from '../../machinery/errors.ts';
import { timestamp } from '../../world/world.ts';
import { conditionOf, judgedBy, withCondition } from '../conditions.ts';
import type { ControllerDefinition, Outcome } from '../controller.ts';
import { orNone } from '../merge.ts';
import { isReady, podsOnNode, watchPodsByNode } from '../pods.ts';
import { ZoneTally, evictionPauseMs, healthOf, isEvicting, wantedTaints, zoneOf } from './taints.ts';

const leaseNamespace = 'kube-node-lease';
const watchedConditions = ['Ready', 'MemoryPressure', 'DiskPressure', 'PIDPressure'] as const;

export const nodeLifecycleController: ControllerDefinition = {
  name: 'node-lifecycle-controller',
  serviceAccount: 'node-controller',
  setup(context) {
    const { client, world, events, options } = context;
    /** When each node was last heard of, by this clock: a node's own may be wrong. */
    const heard = new Map<string, number>();
    /** UIDs of nodes it was told of that they are looked after. */
    const registered = new Set<string>();
    /** Nodes seen ready whose pods were not yet told otherwise. */
    const wasReady = new Set<string>();
    /** When a node of a zone was last allowed to drive its pods out. */
    const lastEviction = new Map<string, number>();
    const evicting = new Set<string>();

    const tally = new ZoneTally(options.eviction);

    const nodes = context.watch(Node);
    context.watch(Node, {
      added(node) {
        heard.set(node.metadata.name, world.clock.now());
        recount(node, () => tally.count(node, 1));
        context.enqueue(node.metadata.name);
      },
      updated(node, old) {
        if (heartbeat(node) !== heartbeat(old)) heard.set(node.metadata.name, world.clock.now());
        recount(node, () => {
          tally.count(old, -1);
          tally.count(node, 1);
        });
        context.enqueue(node.metadata.name);
      },
      deleted(node) {
        recount(node, () => tally.count(node, -1));
        heard.delete(node.metadata.name);
        wasReady.delete(node.metadata.name);
        evicting.delete(node.metadata.name);
        if (registered.delete(node.metadata.uid)) tell(node, 'RemovingNode', `Removing Node ${node.metadata.name} from Controller`);
      },
    });
    /** Whether nodes may drive their pods out depends on how the others do: when that outlook changes, all of them are looked at again. */
    function recount(node: Node, count: () => void): void {
      const zone = zoneOf(node);
      const before = tally.outlook(zone);
      count();
      if (tally.outlook(zone) === before) return;
      for (const other of nodes.list()) if (healthOf(other) !== 'True') context.enqueue(other.metadata.name);
    }
    function tell(node: Node, reason: string, what: string): void {
      events.event(node, 'Normal', reason, `Node ${node.metadata.name} event: ${what}`);
    }
    const alive = (lease: Lease): void => {
      if (lease.metadata.namespace === leaseNamespace && heard.has(lease.metadata.name)) heard.set(lease.metadata.name, world.clock.now());
    };
    context.watch(Lease, { added: alive, updated: alive });
    const pods = watchPodsByNode(context);

    async function reconcile(name: string): Promise<Outcome> {
      const node = nodes.get(name);
      if (!node) return undefined;
      if (!registered.has(node.metadata.uid)) tell(node, 'RegisteredNode', `Registered Node ${name} in Controller`);
      registered.add(node.metadata.uid);
      const nowMs = world.clock.now();
      const silence = silentForMs(node, nowMs);
      const graceMs =
        healthOf(node) === undefined
          ? Math.max(options.nodeStartupGracePeriodMs, options.nodeMonitorGracePeriodMs)
          : options.nodeMonitorGracePeriodMs;
      if (silence >= graceMs) {
        const conditions = silentConditions(node.status.conditions ?? [], node, timestamp(nowMs));
        if (!equal(conditions, node.status.conditions)) {
          // The cache shows the change next, and that comes back here for all that follows from it.
          await client.resource(Node).updateStatus({ ...node, status: { ...node.status, conditions: [...conditions] } });
          return undefined;
        }
      }

      const pauseMs = await taint(node, nowMs);
      await tellPods(node);

      const untilSilentMs = silence < graceMs ? graceMs - silence : undefined;
      const waits = [pauseMs, untilSilentMs].filter((ms) => ms !== undefined);
      return waits.length > 0 ? { requeueAfterMs: Math.max(1, Math.min(...waits)) } : undefined;
    }

    function silentForMs(node: Node, nowMs: number): number {
      return nowMs - (heard.get(node.metadata.name) ?? nowMs);
    }

    /** Answers how long to wait until the node's turn comes to drive its pods out. */
    async function taint(node: Node, nowMs: number): Promise<number | undefined> {
      const { waitMs, evict } = mayEvict(node, nowMs);
      const taints = wantedTaints(node, evict, timestamp(nowMs));
      if (!equal(taints, node.spec.taints ?? [])) {
        const { name, resourceVersion } = node.metadata;
        await client.resource(Node).patch(name, { metadata: { resourceVersion }, spec: { taints: orNone(taints) } });
      }
      return waitMs;
    }

    function mayEvict(node: Node, nowMs: number): { evict: boolean; waitMs?: number } {
      const { name } = node.metadata;
      const health = healthOf(node);
      if (health === undefined || health === 'True') {
        evicting.delete(name);
        return { evict: false };
      }
      if (!tally.anyReady()) {
        evicting.delete(name);
        return { evict: false };
      }
      if (evicting.has(name) || isEvicting(node)) return { evict: true };
      const zone = zoneOf(node);
      const pauseMs = evictionPauseMs(tally.state(zone), tally.size(zone), options.eviction);
      if (pauseMs === Infinity) return { evict: false };
      const waitMs = (lastEviction.get(zone) ?? -Infinity) + pauseMs - nowMs;
      if (waitMs > 0) return { evict: false, waitMs };
      lastEviction.set(zone, nowMs);
      evicting.add(name);
      return { evict: true };
    }

    /** Pods of a node that ceased to be ready are not ready: services stop sending to them. Told once, when it happens. */
    async function tellPods(node: Node): Promise<void> {
      const { name } = node.metadata;
      if (healthOf(node) === 'True') {
        wasReady.add(name);
        return;
      }
      if (!wasReady.has(name)) return;
      events.event(node, 'Normal', 'NodeNotReady', `Node ${name} status is now: NodeNotReady`);
      const now = timestamp(world.clock.now());
      await Promise.all(
        podsOnNode(pods, name)
          .filter(isReady)
          .map(async (pod) => {
            const conditions = (pod.status.conditions ?? []).map((condition) =>
              condition.type === 'Ready' ? { ...condition, status: 'False', lastTransitionTime: now, ...judgedBy(pod) } : condition,
            );
            events.event(pod, 'Warning', 'NodeNotReady', 'Node is not ready');
            await client
              .resource(Pod)
              .namespace(pod.metadata.namespace)
              .updateStatus({ ...pod, status: { ...pod.status, conditions } })
              .catch((error: unknown) => {
                if (!isReason(error, 'NotFound')) throw error;
              });
          }),
      );
      wasReady.delete(name);
    }

    return { reconcile };
  },
};

/** What moves when a kubelet posts its status. */
function heartbeat({ status }: Node): string {
  return (status.conditions ?? []).map(({ type, lastHeartbeatTime }) => `${type}@${lastHeartbeatTime ?? ''}`).join();
}

/** The conditions of a node nobody has heard of: nothing about it is known any more. */
export function silentConditions(old: readonly V1NodeCondition[], node: Node, now: string): readonly V1NodeCondition[] {
  let conditions = old;
  for (const type of watchedConditions) {
    const current = conditionOf(conditions, type);
    if (current?.status === 'Unknown') continue;
    conditions = current
      ? conditions.map((condition) =>
          condition === current
            ? { ...current, status: 'Unknown', reason: 'NodeStatusUnknown', message: 'Kubelet stopped posting node status.', lastTransitionTime: now }
            : condition,
        )
      : withCondition(conditions, {
          type,
          status: 'Unknown',
          reason: 'NodeStatusNeverUpdated',
          message: 'Kubelet never posted node status.',
          lastHeartbeatTime: node.metadata.creationTimestamp,
          lastTransitionTime: now,
        });
  }
  return conditions;
}
