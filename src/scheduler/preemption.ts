/**
 * Whom a more important pod may push off a node: a pure search for the node where that costs least. Upstream's preemption: remove all less important pods, see
 * whether it fits, then spare as many as possible, those under a disruption budget first; compare nodes by upstream's list of criteria.
 */
import type { Pod, PodDisruptionBudget } from '../api/kinds.ts';
import { selectorOf } from '../machinery/selector.ts';
import type { FailedAttempt, Refusal } from './plugin.ts';
import type { PodInfo } from './pod-info.ts';
import { refusalMessage } from './refusal-message.ts';
import type { NodeRow, Snapshot } from './snapshot.ts';

export interface Candidate {
  readonly node: NodeRow;
  /** The most important first. */
  readonly victims: readonly PodInfo[];
  /** How many of those a disruption budget would have protected. */
  readonly budgetViolations: number;
}

export interface CandidateLimits {
  readonly minCandidateNodesPercentage: number;
  readonly minCandidateNodesAbsolute: number;
}

export interface Search {
  readonly candidates: readonly Candidate[];
  /** Why there are none, as the event says it. */
  readonly message: string;
}

const notHelpful: Refusal = { reasons: ['Preemption is not helpful for scheduling'], unresolvable: true };
const noVictims: Refusal = { reasons: ['No preemption victims found for incoming pod'], unresolvable: true };

export const victimsLeaving = 'not eligible due to a terminating pod on the nominated node.';

/** Why this pod may push nobody off; undefined when it may. */
export function notEligible({ pod, priority }: PodInfo, snapshot: Snapshot, attempt: FailedAttempt): string | undefined {
  if (pod.spec.preemptionPolicy === 'Never') return 'not eligible due to preemptionPolicy=Never.';
  const nominated = pod.status.nominatedNodeName;
  const node = nominated === undefined ? undefined : snapshot.node(nominated);
  // It was promised a node already: if that can still become free, waiting is all there is to do.
  if (node === undefined || attempt.refusals.get(node)?.unresolvable === true) return undefined;
  const leaving = [...node.pods.values()].some((other) => other.priority < priority && other.terminating && wasPreempted(other.pod));
  return leaving ? victimsLeaving : undefined;
}

function wasPreempted({ status }: Pod): boolean {
  return (
    status.conditions?.some(({ type, status: is, reason }) => type === 'DisruptionTarget' && is === 'True' && reason === 'PreemptionByScheduler') ===
    true
  );
}

export function searchCandidates(pod: PodInfo, snapshot: Snapshot, attempt: FailedAttempt, limits: CandidateLimits): Search {
  const { refusals, others, chance } = attempt;
  const potential = snapshot.nodes.filter((node) => (refusals.get(node) ?? others)?.unresolvable === false);
  const wanted = Math.min(
    potential.length,
    Math.max(Math.trunc((potential.length * limits.minCandidateNodesPercentage) / 100), limits.minCandidateNodesAbsolute),
  );
  const budgets = snapshot.objects.disruptionBudgets.list();
  const found: Candidate[] = [];
  const failures: { refusal: Refusal }[] = [];
  const offset = Math.floor(chance * potential.length);
  for (let i = 0; i < potential.length; i++) {
    if (found.length >= wanted && found.some(({ budgetViolations }) => budgetViolations === 0)) break;
    const node = potential[(offset + i) % potential.length];
    if (node === undefined) continue;
    const outcome = victimsOn(node, pod, snapshot, attempt, budgets);
    if ('node' in outcome) found.push(outcome);
    else failures.push({ refusal: outcome });
  }
  if (found.length > 0) return { candidates: found, message: '' };
  const total = snapshot.nodes.length;
  return { candidates: [], message: refusalMessage({ total, refusals: failures, looked: failures.length, others: { refusal: notHelpful } }) };
}

function victimsOn(
  node: NodeRow,
  pod: PodInfo,
  snapshot: Snapshot,
  { wouldFit }: FailedAttempt,
  budgets: readonly PodDisruptionBudget[],
): Candidate | Refusal {
  const lower = [...node.pods.values()].filter((other) => other.priority < pod.priority);
  if (lower.length === 0) return noVictims;
  return snapshot.whatIf((change) => {
    for (const other of lower) change.remove(other);
    const refusal = wouldFit(node);
    if (refusal !== undefined) return refusal;
    lower.sort(byImportance);
    const { violating, free } = byBudgets(lower, budgets);
    const victims: PodInfo[] = [];
    const spare = (other: PodInfo): boolean => {
      change.add(other, node.name);
      if (wouldFit(node) === undefined) return true;
      change.remove(other);
      victims.push(other);
      return false;
    };
    let budgetViolations = 0;
    for (const other of violating) if (!spare(other)) budgetViolations++;
    for (const other of free) spare(other);
    return { node, victims: victims.sort(byImportance), budgetViolations };
  });
}

/** Higher priority first, then who runs longer. */
function byImportance(a: PodInfo, b: PodInfo): number {
  return b.priority - a.priority || startOf(a) - startOf(b);
}

function startOf({ pod }: PodInfo): number {
  const { startTime } = pod.status;
  return startTime === undefined ? Infinity : Date.parse(startTime);
}

/** Pods whose removal a budget does not allow, and the others. Each removal uses the budgets up. */
function byBudgets(pods: readonly PodInfo[], budgets: readonly PodDisruptionBudget[]): { violating: PodInfo[]; free: PodInfo[] } {
  const violating: PodInfo[] = [];
  const free: PodInfo[] = [];
  const rules = budgets.map(({ metadata, spec, status }) => ({
    namespace: metadata.namespace,
    // A budget that selects everything protects nothing here, as upstream.
    selector: selectorOf(spec.selector),
    disrupted: status.disruptedPods ?? {},
    allowed: status.disruptionsAllowed ?? 0,
  }));
  for (const info of pods) {
    let violates = false;
    for (const rule of rules) {
      if (rule.namespace !== info.namespace || rule.selector.isEmpty() || !rule.selector.matches(info.labels)) continue;
      // Counted already, when its eviction was allowed.
      if (rule.disrupted[info.pod.metadata.name] !== undefined) continue;
      rule.allowed--;
      if (rule.allowed < 0) violates = true;
    }
    (violates ? violating : free).push(info);
  }
  return { violating, free };
}

/** The cheapest candidate: each criterion only decides among those the one before left. */
export function cheapest(candidates: readonly Candidate[]): Candidate | undefined {
  let left = candidates;
  for (const cost of costs) {
    if (left.length <= 1) break;
    const values = left.map(cost);
    const lowest = Math.min(...values);
    left = left.filter((_, index) => values[index] === lowest);
  }
  return left[0];
}

/** Priorities are shifted so that they are never negative: more victims always sum up to more. */
const priorityShift = 2 ** 31;

const costs: readonly ((candidate: Candidate) => number)[] = [
  ({ budgetViolations }) => budgetViolations,
  ({ victims }) => victims[0]?.priority ?? -Infinity,
  ({ victims }) => victims.reduce((sum, { priority }) => sum + priority + priorityShift, 0),
  ({ victims }) => victims.length,
  // Of the most important victims, the one that started first: the later, the less work is lost.
  ({ victims }) => -Math.min(...victims.filter(({ priority }) => priority === victims[0]?.priority).map(startOf)),
];
