/** What `kubectl get pods` prints: STATUS above all, which tells the story of the pod's containers in one word. Follows upstream's `printPod`. */
import { humanDuration } from '../../machinery/duration.ts';
import { parseTime } from '../../machinery/time.ts';
import { ageColumn, column, nameColumn } from '../columns.ts';
import type { Column } from '../kind.ts';
import type { V1Container, V1ContainerStatus, V1Pod } from '../types.ts';

export const podColumns: readonly Column<V1Pod>[] = [
  nameColumn,
  column('Ready', 'Containers that are ready, of those the pod has.', (pod) => summaryOf(pod, 0).ready),
  column('Status', 'What the pod is doing, or why it is not.', (pod) => summaryOf(pod, 0).status),
  column('Restarts', 'How often containers were started again, and when last.', (pod, nowMs) => summaryOf(pod, nowMs).restarts),
  ageColumn,
  column('IP', "The pod's first address.", (pod) => pod.status.podIPs?.[0]?.ip ?? orNone(pod.status.podIP), { wide: true }),
  column('Node', 'The node the pod is bound to.', (pod) => orNone(pod.spec.nodeName), { wide: true }),
  column('Nominated Node', 'The node where pods are being evicted to make room for this one.', (pod) => orNone(pod.status.nominatedNodeName), {
    wide: true,
  }),
  column('Readiness Gates', 'Conditions beyond its containers that the pod waits for, and how many hold.', readinessGates, { wide: true }),
];

function orNone(text: string | undefined): string {
  return text === undefined || text === '' ? '<none>' : text;
}

function readinessGates(pod: V1Pod): string {
  const gates = pod.spec.readinessGates ?? [];
  if (gates.length === 0) return '<none>';
  const met = gates.filter((gate) => pod.status.conditions?.find(({ type }) => type === gate.conditionType)?.status === 'True');
  return `${met.length}/${gates.length}`;
}

interface Summary {
  readonly ready: string;
  readonly status: string;
  readonly restarts: string;
}

/** Tallies restarts and remembers the last one. */
class Restarts {
  private count = 0;
  private lastMs = 0;

  add(status: V1ContainerStatus): void {
    this.count += status.restartCount;
    const finished = status.lastState?.terminated?.finishedAt;
    if (finished !== undefined) this.lastMs = Math.max(this.lastMs, parseTime(finished));
  }

  text(nowMs: number): string {
    return this.count > 0 && this.lastMs > 0 ? `${this.count} (${humanDuration(nowMs - this.lastMs)} ago)` : String(this.count);
  }
}

/** An init container that keeps running beside the others. */
function isSidecar(container: V1Container | undefined): boolean {
  return container?.restartPolicy === 'Always';
}

export function summaryOf(pod: V1Pod, nowMs: number): Summary {
  const { spec, status } = pod;
  const initContainers = spec.initContainers ?? [];
  const initByName = new Map(initContainers.map((container) => [container.name, container]));
  const sidecars = initContainers.filter(isSidecar).length;
  let reason = status.reason !== undefined && status.reason !== '' ? status.reason : (status.phase ?? '');
  if (status.conditions?.some(({ type, reason: why }) => type === 'PodScheduled' && why === 'SchedulingGated') === true) reason = 'SchedulingGated';

  let ready = 0;
  const all = new Restarts();
  const sidecarRestarts = new Restarts();
  let initializing = false;
  for (const [index, container] of (status.initContainerStatuses ?? []).entries()) {
    all.add(container);
    const sidecar = isSidecar(initByName.get(container.name));
    if (sidecar) sidecarRestarts.add(container);
    const { terminated, waiting } = container.state ?? {};
    if (terminated !== undefined && terminated.exitCode === 0) continue;
    if (sidecar && container.started === true) {
      if (container.ready) ready += 1;
      continue;
    }
    if (terminated !== undefined) reason = `Init:${endOf(terminated)}`;
    else if (waiting?.reason !== undefined && waiting.reason !== '' && waiting.reason !== 'PodInitializing') reason = `Init:${waiting.reason}`;
    else reason = `Init:${index}/${initContainers.length}`;
    initializing = true;
    break;
  }

  let restarts = all;
  const initialized = status.conditions?.some(({ type, status: holds }) => type === 'Initialized' && holds === 'True') === true;
  if (!initializing || initialized) {
    restarts = sidecarRestarts;
    let hasRunning = false;
    for (const container of (status.containerStatuses ?? []).toReversed()) {
      restarts.add(container);
      const { terminated, waiting, running } = container.state ?? {};
      if (waiting?.reason !== undefined && waiting.reason !== '') reason = waiting.reason;
      else if (terminated !== undefined) reason = endOf(terminated);
      else if (container.ready && running !== undefined) {
        hasRunning = true;
        ready += 1;
      }
    }
    // One container is done, another goes on: the pod is not completed.
    if (reason === 'Completed' && hasRunning) {
      reason = status.conditions?.some(({ type, status: holds }) => type === 'Ready' && holds === 'True') === true ? 'Running' : 'NotReady';
    }
  }

  if (pod.metadata.deletionTimestamp !== undefined) {
    if (status.reason === 'NodeLost') reason = 'Unknown';
    else if (status.phase !== 'Succeeded' && status.phase !== 'Failed') reason = 'Terminating';
  }
  return { ready: `${ready}/${(spec.containers ?? []).length + sidecars}`, status: reason, restarts: restarts.text(nowMs) };
}

function endOf(terminated: { reason?: string; signal?: number; exitCode: number }): string {
  if (terminated.reason !== undefined && terminated.reason !== '') return terminated.reason;
  return terminated.signal !== undefined && terminated.signal !== 0 ? `Signal:${terminated.signal}` : `ExitCode:${terminated.exitCode}`;
}
