/** The pod conditions a kubelet sets, with upstream's reasons and messages, from container statuses that are already known. */
import type { Pod } from '../api/kinds.ts';
import type { V1ContainerStatus, V1PodCondition } from '../api/types.ts';
import { isSidecar } from './pod-spec.ts';

type Verdict = Pick<V1PodCondition, 'type' | 'status' | 'reason' | 'message'>;

export interface ConditionFacts {
  readonly pod: Pod;
  readonly phase: string;
  readonly initStatuses: readonly V1ContainerStatus[];
  readonly statuses: readonly V1ContainerStatus[];
  /** A sandbox is up and has its network. */
  readonly sandboxReady: boolean;
  /** Some container was started in this sandbox, so initialization was over at some time. */
  readonly wasInitialized: boolean;
  /** Whether all containers are being started anew; undefined in a pod that has no rule for that. */
  readonly restartsAll?: boolean;
}

/** In the order upstream lists them. */
export function podConditions(facts: ConditionFacts): readonly Verdict[] {
  const containersReady = containersReadyCondition(facts);
  return [
    { type: 'PodReadyToStartContainers', status: facts.sandboxReady ? 'True' : 'False' },
    initializedCondition(facts),
    readyCondition(facts, containersReady),
    containersReady,
    { type: 'PodScheduled', status: 'True' },
    ...(facts.restartsAll === undefined ? [] : [restartingCondition(facts.phase, facts.restartsAll)]),
  ];
}

function restartingCondition(phase: string, restartsAll: boolean): Verdict {
  const type = 'AllContainersRestarting';
  if (phase === 'Succeeded') return { type, status: 'False', reason: 'PodCompleted' };
  if (phase === 'Failed') return { type, status: 'False', reason: 'PodFailed' };
  if (!restartsAll) return { type, status: 'False' };
  return { type, status: 'True', reason: 'RestartAllContainersStarted', message: 'container exited with restart policy rule' };
}

function initializedCondition({ pod, phase, initStatuses, wasInitialized }: ConditionFacts): Verdict {
  const type = 'Initialized';
  if (phase === 'Succeeded') return { type, status: 'True', reason: 'PodCompleted' };
  if (wasInitialized) return { type, status: 'True' };
  const incomplete = (pod.spec.initContainers ?? []).filter((container) => {
    const status = initStatuses.find(({ name }) => name === container.name);
    return isSidecar(container) ? status?.started !== true : status?.ready !== true;
  });
  if (incomplete.length === 0) return { type, status: 'True' };
  return { type, status: 'False', reason: 'ContainersNotInitialized', message: `containers with incomplete status: [${names(incomplete)}]` };
}

function containersReadyCondition({ pod, phase, initStatuses, statuses }: ConditionFacts): Verdict {
  const type = 'ContainersReady';
  if (phase === 'Succeeded') return { type, status: 'False', reason: 'PodCompleted' };
  if (phase === 'Failed') return { type, status: 'False', reason: 'PodFailed' };
  const all = [...initStatuses, ...statuses];
  const unready = [...(pod.spec.initContainers ?? []).filter(isSidecar), ...pod.spec.containers].filter(
    (container) => all.find(({ name }) => name === container.name)?.ready !== true,
  );
  if (unready.length === 0) return { type, status: 'True' };
  return { type, status: 'False', reason: 'ContainersNotReady', message: `containers with unready status: [${names(unready)}]` };
}

function readyCondition({ pod }: ConditionFacts, containersReady: Verdict): Verdict {
  if (containersReady.status !== 'True') return { ...containersReady, type: 'Ready' };
  const complaints = (pod.spec.readinessGates ?? []).flatMap(({ conditionType }) => {
    const condition = pod.status.conditions?.find(({ type }) => type === conditionType);
    if (!condition) return [`corresponding condition of pod readiness gate "${conditionType}" does not exist.`];
    if (condition.status !== 'True') return [`the status of pod readiness gate "${conditionType}" is not "True", but ${condition.status}`];
    return [];
  });
  if (complaints.length === 0) return { type: 'Ready', status: 'True' };
  return { type: 'Ready', status: 'False', reason: 'ReadinessGatesNotReady', message: complaints.join(', ') };
}

function names(containers: readonly { name: string }[]): string {
  return containers.map(({ name }) => name).join(' ');
}
