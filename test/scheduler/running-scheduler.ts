/** An API server in memory with the scheduler (and the controllers asked for) at work on it, on a simulated clock; nodes are objects only. */
import { Event, Node, Pod } from '../../src/api/kinds.ts';
import type { V1PodSpec } from '../../src/api/types.ts';
import { createEventRecorder } from '../../src/client/events.ts';
import { readConfiguration } from '../../src/scheduler/config/configuration.ts';
import type { SchedulerObserver } from '../../src/scheduler/observer.ts';
import type { PluginDefinition } from '../../src/scheduler/plugin.ts';
import { type Scheduler, startScheduler } from '../../src/scheduler/scheduler.ts';
import { type ControlPlane, startControlPlane } from '../controllers/control-plane.ts';

export interface SchedulingPlane extends ControlPlane {
  readonly scheduler: Scheduler;
  addNode(name: string, amounts?: Record<string, string>, labels?: Record<string, string>): Promise<void>;
  addPod(name: string, spec?: Partial<V1PodSpec>, requests?: Record<string, string>, labels?: Record<string, string>): Promise<Pod>;
  nodeOf(name: string): Promise<string | undefined>;
  /** Waits for the pod to have a node, and answers it. */
  scheduled(name: string): Promise<string>;
  /** Waits for the condition that says why a pod has no node, and answers its message. */
  refused(name: string, reason?: string): Promise<string>;
  /** Waits for an event whose message matches. */
  event(reason: string, message: RegExp): Promise<void>;
}

export interface SchedulingPlaneOptions {
  /** Fields of a KubeSchedulerConfiguration. */
  readonly configuration?: object;
  readonly plugins?: readonly PluginDefinition[];
  readonly controllers?: string;
  readonly observer?: SchedulerObserver;
}

export async function startSchedulingPlane(options: SchedulingPlaneOptions = {}): Promise<SchedulingPlane> {
  const plane = await startControlPlane({ controllers: options.controllers ?? 'serviceaccount-controller' });
  const events = createEventRecorder(plane.admin, plane.world, { component: 'default-scheduler' });
  const { configuration, plugins, observer } = options;
  const head = { apiVersion: 'kubescheduler.config.k8s.io/v1', kind: 'KubeSchedulerConfiguration' };
  const scheduler = startScheduler({
    world: plane.world,
    client: plane.admin,
    informers: plane.informers,
    events,
    ...(configuration && { configuration: readConfiguration({ ...head, ...configuration }) }),
    ...(plugins && { plugins }),
    ...(observer && { observer }),
  });
  await plane.settle();
  await scheduler.ready;
  const nodeOf = async (name: string): Promise<string | undefined> => (await plane.get(Pod, name)).spec.nodeName;
  return {
    ...plane,
    scheduler,
    nodeOf,
    async addNode(name, amounts = {}, labels = {}) {
      const capacity = { cpu: '2', memory: '4Gi', pods: '110', ...amounts };
      await plane.create(Node, {
        metadata: { name, labels: { 'kubernetes.io/hostname': name, ...labels } },
        spec: {},
        status: { capacity, allocatable: capacity },
      });
      // A new node is tainted not-ready until the node lifecycle controller has seen it; there is none here.
      await plane.admin.resource(Node).patch(name, { spec: { taints: null } });
      await plane.settle();
    },
    addPod(name, spec = {}, requests = { cpu: '100m' }, labels = {}) {
      const containers = [{ name: 'main', image: 'app', resources: { requests } }];
      return plane.create(Pod, { metadata: { name, namespace: 'default', labels }, spec: { containers, ...spec } });
    },
    async scheduled(name) {
      await plane.until(`${name} has a node`, async () => (await nodeOf(name)) !== undefined);
      return (await nodeOf(name)) ?? '';
    },
    async refused(name, reason = 'Unschedulable') {
      let message: string | undefined;
      await plane.until(`${name} says why it has no node`, async () => {
        const condition = (await plane.get(Pod, name)).status.conditions?.find(({ type }) => type === 'PodScheduled');
        message = condition?.status === 'False' && condition.reason === reason ? condition.message : undefined;
        return message !== undefined;
      });
      return message ?? '';
    },
    event: (reason, message) =>
      plane.until(`an event ${reason}: ${String(message)}`, async () =>
        (await plane.list(Event)).some((event) => event.reason === reason && message.test(event.message ?? '')),
      ),
    async close() {
      scheduler.close();
      events.close();
      await plane.close();
    },
  };
}
