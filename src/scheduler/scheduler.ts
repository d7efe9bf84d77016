/**
 * The scheduler: keeps the snapshot current, takes pods from the queue, decides, and binds. Deciding is synchronous and pure (`schedule.ts`); only
 * binding waits, and the pod counts on its node meanwhile, so the next decision need not.
 */
import { Node, Pod } from '../api/kinds.ts';
import type { Client } from '../client/client.ts';
import type { EventRecorder } from '../client/events.ts';
import type { Informers } from '../client/informer.ts';
import { equal } from '../machinery/equal.ts';
import { isReason } from '../machinery/errors.ts';
import { keyOf } from '../machinery/object.ts';
import { type World, timestamp } from '../world/world.ts';
import type { ClusterEvent, Plugin } from './plugin.ts';
import { defaultPlugins } from './plugins.ts';
import { SchedulingQueue } from './queue.ts';
import { type Refused, schedule } from './schedule.ts';
import { ClusterState, type PodInfo, podInfo } from './snapshot.ts';

export interface SchedulerOptions {
  readonly world: World;
  readonly client: Client;
  readonly informers: Informers;
  readonly events: EventRecorder;
  /** Pods with another `spec.schedulerName` are left alone. */
  readonly name?: string;
  readonly plugins?: readonly Plugin[];
}

export interface Scheduler {
  /** Resolves when nodes and pods are known and the first pods were tried. */
  readonly ready: Promise<void>;
  close(): void;
}

/** Decisions made before bindings under way and other work get their turn. */
const decisionsPerTurn = 64;
/** Bindings under way at once: enough to fill a group commit, few enough not to starve others. */
const bindingsAtOnce = 256;

export function startScheduler(options: SchedulerOptions): Scheduler {
  const { world, client, informers, events, name = 'default-scheduler', plugins = defaultPlugins } = options;
  const log = world.log.child('scheduler');
  const state = new ClusterState();
  const queue = new SchedulingQueue(plugins, world.clock, () => wake());
  const pods = informers.of(Pod);
  const nodes = informers.of(Node);
  let closed = false;
  let running = false;
  let binding = 0;

  const unsubscribe = [
    nodes.subscribe({
      added(node) {
        state.setNode(node);
        queue.happened('node-added');
      },
      updated(node, old) {
        state.setNode(node);
        for (const event of nodeEvents(node, old)) queue.happened(event);
      },
      deleted: (node) => state.removeNode(node.metadata.name),
    }),
    pods.subscribe({
      added: seen,
      updated: seen,
      deleted(pod) {
        queue.remove(keyOf(pod));
        state.removePod(keyOf(pod));
        if (hasNode(pod)) queue.happened('assigned-pod-deleted');
      },
    }),
  ];
  const ready = Promise.all([nodes.synced, pods.synced]).then(() => run());

  function seen(pod: Pod): void {
    const key = keyOf(pod);
    const finished = pod.status.phase === 'Succeeded' || pod.status.phase === 'Failed';
    if (hasNode(pod) || finished) {
      queue.remove(key);
      state.setPod(pod);
      if (finished) queue.happened('assigned-pod-deleted');
      return;
    }
    if (pod.spec.schedulerName !== name) return;
    if (pod.metadata.deletionTimestamp !== undefined) {
      queue.remove(key);
      return;
    }
    if (state.isAssumed(key)) return;
    const info = podInfo(pod);
    queue.put(info);
    const held = queue.heldBecause(info);
    if (held) void condition(info, 'SchedulingGated', 'Scheduling is blocked due to non-empty scheduling gates').catch(logged(info));
  }

  function wake(): void {
    if (!running && !closed && nodes.hasSynced() && pods.hasSynced()) queueMicrotask(run);
  }

  function run(): void {
    if (running || closed) return;
    running = true;
    let decisions = 0;
    try {
      while (binding < bindingsAtOnce && decisions < decisionsPerTurn) {
        const info = queue.pop();
        if (!info) break;
        decisions++;
        decide(info);
      }
    } finally {
      running = false;
    }
    if (decisions === decisionsPerTurn) world.clock.after(0, run);
  }

  function decide(info: PodInfo): void {
    const decision = schedule(state, info, plugins, world.random.next());
    if (decision.type === 'placed') {
      state.assume(info, decision.nodeName);
      binding++;
      void bind(info, decision.nodeName).finally(() => {
        binding--;
        wake();
      });
      return;
    }
    queue.refused(info.key, decision.plugins);
    events.event(info.pod, 'Warning', 'FailedScheduling', decision.message);
    void refuse(info, decision).catch(logged(info));
  }

  async function bind(info: PodInfo, nodeName: string): Promise<void> {
    const { name: podName, namespace, uid } = info.pod.metadata;
    try {
      await client
        .resource(Pod)
        .namespace(namespace)
        .createSubresource(podName, 'binding', {
          apiVersion: 'v1',
          kind: 'Binding',
          metadata: { name: podName, namespace, uid },
          target: { apiVersion: 'v1', kind: 'Node', name: nodeName },
        });
      queue.remove(info.key);
      events.event(info.pod, 'Normal', 'Scheduled', `Successfully assigned ${namespace}/${podName} to ${nodeName}`);
    } catch (error) {
      state.forget(info.key);
      // Gone: nothing to do. Anything else is tried again later; when someone else bound it, the informer takes it off the queue.
      if (isReason(error, 'NotFound')) queue.remove(info.key);
      else queue.failed(info.key);
      if (!closed) log.warn('binding failed', { pod: info.key, node: nodeName, error: String(error) });
    }
  }

  async function refuse(info: PodInfo, decision: Refused): Promise<void> {
    await condition(info, 'Unschedulable', decision.message);
  }

  /** Says on the pod why it has no node; nothing is written when it says so already. */
  async function condition(info: PodInfo, reason: string, message: string): Promise<void> {
    const { name: podName, namespace, uid } = info.pod.metadata;
    const known = info.pod.status.conditions?.find(({ type }) => type === 'PodScheduled');
    if (known?.status === 'False' && known.reason === reason && known.message === message) return;
    const since = known?.status === 'False' ? known.lastTransitionTime : timestamp(world.clock.now());
    const patch = {
      metadata: { uid },
      status: { conditions: [{ type: 'PodScheduled', status: 'False', reason, message, lastTransitionTime: since, lastProbeTime: null }] },
    };
    await client.resource(Pod).namespace(namespace).patch(podName, patch, { type: 'strategic', subresource: 'status' });
  }

  function logged(info: PodInfo): (error: unknown) => void {
    return (error) => {
      if (!closed && !isReason(error, 'NotFound', 'Conflict')) log.warn('pod condition not written', { pod: info.key, error: String(error) });
    };
  }

  return {
    ready,
    close() {
      closed = true;
      for (const stop of unsubscribe) stop();
      queue.close();
    },
  };
}

function hasNode(pod: Pod): boolean {
  return pod.spec.nodeName !== undefined && pod.spec.nodeName !== '';
}

/** What changed on a node that could make a pod fit; heartbeats change nothing. */
function nodeEvents(node: Node, old: Node): readonly ClusterEvent[] {
  const events: ClusterEvent[] = [];
  if (!equal(node.status.allocatable, old.status.allocatable)) events.push('node-allocatable-changed');
  if (!equal(node.metadata.labels, old.metadata.labels)) events.push('node-labels-changed');
  if (!equal(node.spec.taints, old.spec.taints)) events.push('node-taints-changed');
  if (old.spec.unschedulable === true && node.spec.unschedulable !== true) events.push('node-schedulable-changed');
  return events;
}
