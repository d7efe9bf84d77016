/**
 * What must hold in every cluster, whatever went wrong: some of it at every write (told by {@link Watchman}), the rest once faults have ended and the
 * cluster has had time (told by {@link unkept}).
 */
import {
  DaemonSet,
  Deployment,
  EndpointSlice,
  Job,
  type KubeObject,
  Namespace,
  Node,
  Pod,
  PodDisruptionBudget,
  ReplicaSet,
  ResourceQuota,
  Service,
  StatefulSet,
  type StoreEvent,
  type VirtualCluster,
} from '../../src/index.ts';
import type { Kind } from '../../src/api/kind.ts';
import { allKinds } from '../../src/api/kinds.ts';
import { isSpent } from '../../src/api/quota/usage.ts';
import { selectorOf } from '../../src/machinery/selector.ts';

const podPrefix = '/registry/core/pods/';
const indexAnnotation = 'batch.kubernetes.io/job-completion-index';

/** Looks at every write as it happens, and keeps what must never have happened. */
export class Watchman {
  readonly found: string[] = [];
  readonly #pods = new Map<string, Pod>();
  readonly #quotas = new Map<string, ResourceQuota>();
  readonly #budgets = new Map<string, PodDisruptionBudget>();
  /** By budget: pods evicted that nothing has taken the place of. */
  readonly #open = new Map<string, readonly string[]>();
  /** Indexes of jobs that succeeded, by the job's uid. */
  readonly #done = new Map<string, string>();

  see({ revision, changes }: StoreEvent): void {
    for (const change of changes) {
      const object = change.type === 'put' ? (JSON.parse(Buffer.from(change.value).toString()) as KubeObject) : undefined;
      if (change.key.startsWith(podPrefix)) this.#seePod(revision, change.key, object as Pod | undefined);
      else if (change.key.startsWith('/registry/core/resourcequotas/')) put(this.#quotas, change.key, object as ResourceQuota | undefined);
      else if (change.key.startsWith('/registry/policy/poddisruptionbudgets/'))
        this.#seeBudget(change.key, object as PodDisruptionBudget | undefined);
    }
  }

  #seePod(revision: number, key: string, pod: Pod | undefined): void {
    const before = this.#pods.get(key);
    if (pod && before?.metadata.uid === pod.metadata.uid) {
      if (before.spec.nodeName !== undefined && before.spec.nodeName !== pod.spec.nodeName) {
        this.#tell(revision, `pod ${key} moved from ${before.spec.nodeName} to ${pod.spec.nodeName}`);
      }
      if (isOver(before) && !isOver(pod)) this.#tell(revision, `pod ${key} was ${before.status.phase} and is ${pod.status.phase} again`);
    }
    if (pod && !before) this.#seeNew(revision, key, pod);
    if (pod) this.#seeIndexDone(revision, key, pod);
    put(this.#pods, key, pod);
    if (pod && isReady(pod) && !(before && isReady(before))) this.#seeReady(pod);
    if (pod && before && wasEvicted(before, pod)) this.#seeEvicted(revision, key, before);
  }

  #seeNew(revision: number, key: string, pod: Pod): void {
    const { namespace } = pod.metadata;
    const index = pod.metadata.annotations?.[indexAnnotation];
    const owner = pod.metadata.ownerReferences?.find(({ controller }) => controller)?.uid;
    if (index !== undefined && owner !== undefined) {
      if (this.#done.has(`${owner}/${index}`))
        this.#tell(revision, `index ${index} is run again by ${key} though ${this.#done.get(`${owner}/${index}`)} succeeded`);
      for (const [other, running] of this.#pods) {
        const same = running.metadata.annotations?.[indexAnnotation] === index && running.metadata.ownerReferences?.some(({ uid }) => uid === owner);
        if (same && !isOver(running) && running.metadata.deletionTimestamp === undefined)
          this.#tell(revision, `index ${index} is run by ${key} and by ${other}`);
      }
    }
    // A pod whose time to end is up no longer counts, though it may linger where its node is dead. Times are whole seconds: this one came within that one.
    const latestMs = Date.parse(pod.metadata.creationTimestamp) + 999;
    const living = 1 + [...this.#pods.values()].filter((other) => other.metadata.namespace === namespace && !isSpent(other, latestMs)).length;
    for (const quota of this.#quotas.values()) {
      const hard = quota.spec.hard?.['pods'];
      if (quota.metadata.namespace === namespace && hard !== undefined && living > Number(hard))
        this.#tell(revision, `${living} pods in ${namespace}, ${hard} allowed`);
    }
  }

  #seeIndexDone(revision: number, key: string, pod: Pod): void {
    const index = pod.metadata.annotations?.[indexAnnotation];
    const owner = pod.metadata.ownerReferences?.find(({ controller }) => controller)?.uid;
    if (index === undefined || owner === undefined || pod.status.phase !== 'Succeeded') return;
    // One that is being deleted has its replacement already, by the default policy, whatever comes of it.
    if (pod.metadata.deletionTimestamp !== undefined) return;
    const by = this.#done.get(`${owner}/${index}`);
    if (by !== undefined && by !== key) this.#tell(revision, `index ${index} succeeded twice: ${by} and ${key}`);
    this.#done.set(`${owner}/${index}`, key);
  }

  /**
   * No more evictions are open than the budget allows, whatever else happens to its pods (a rollout asks no budget). One is open until a pod has become
   * ready in place of the evicted one, or fewer are wanted.
   */
  #seeEvicted(revision: number, key: string, pod: Pod): void {
    for (const [budgetKey, budget] of this.#budgetsOf(pod)) {
      const { expectedPods = 0, desiredHealthy = 0 } = budget.status;
      // As many as are wanted were ready a moment ago: whatever went before has been made good.
      const open = this.#readyBeside(budget, key) + 1 >= expectedPods ? [] : (this.#open.get(budgetKey) ?? []);
      // Pods that are not ready may go without asking.
      if (!isReady(pod)) continue;
      this.#open.set(budgetKey, [...open, key]);
      const allowed = Math.max(0, expectedPods - desiredHealthy);
      if (open.length + 1 > allowed)
        this.#tell(revision, `${key} was evicted besides ${open.join() || 'none'}; ${budget.metadata.name} allows ${allowed}`);
    }
  }

  #readyBeside({ metadata, spec }: PodDisruptionBudget, key: string): number {
    let count = 0;
    for (const [other, pod] of this.#pods) {
      if (other === key || pod.metadata.namespace !== metadata.namespace || pod.metadata.deletionTimestamp !== undefined) continue;
      if (isReady(pod) && selectorOf(spec.selector).matches(pod.metadata.labels)) count++;
    }
    return count;
  }

  #seeReady(pod: Pod): void {
    for (const [budgetKey] of this.#budgetsOf(pod)) this.#open.set(budgetKey, (this.#open.get(budgetKey) ?? []).slice(1));
  }

  #seeBudget(key: string, budget: PodDisruptionBudget | undefined): void {
    const fewer = (this.#budgets.get(key)?.status.expectedPods ?? 0) - (budget?.status.expectedPods ?? 0);
    if (fewer > 0) this.#open.set(key, (this.#open.get(key) ?? []).slice(fewer));
    put(this.#budgets, key, budget);
  }

  #budgetsOf({ metadata }: Pod): [string, PodDisruptionBudget][] {
    return [...this.#budgets].filter(
      ([, budget]) => budget.metadata.namespace === metadata.namespace && selectorOf(budget.spec.selector).matches(metadata.labels),
    );
  }

  #tell(revision: number, what: string): void {
    if (this.found.length < 20) this.found.push(`revision ${revision}: ${what}`);
  }
}

function put<T>(map: Map<string, T>, key: string, value: T | undefined): void {
  if (value === undefined) map.delete(key);
  else map.set(key, value);
}

const isOver = ({ status }: Pod): boolean => status.phase === 'Succeeded' || status.phase === 'Failed';
const isReady = ({ status }: Pod): boolean => status.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') === true;

function wasEvicted(before: Pod, after: Pod): boolean {
  if (before.metadata.deletionTimestamp !== undefined || after.metadata.deletionTimestamp === undefined) return false;
  return after.status.conditions?.some(({ type, reason }) => type === 'DisruptionTarget' && reason === 'EvictionByEvictionAPI') === true;
}

/** What does not hold yet; empty when all does. */
export async function unkept(cluster: VirtualCluster): Promise<string[]> {
  const all = async <T extends KubeObject>(kind: Kind<T>): Promise<readonly T[]> => (await cluster.client.resource(kind).list()).items;
  const [pods, nodes, deployments, replicaSets, statefulSets, daemonSets, jobs, services, slices, quotas, budgets, namespaces] = await Promise.all([
    all(Pod),
    all(Node),
    all(Deployment),
    all(ReplicaSet),
    all(StatefulSet),
    all(DaemonSet),
    all(Job),
    all(Service),
    all(EndpointSlice),
    all(ResourceQuota),
    all(PodDisruptionBudget),
    all(Namespace),
  ]);
  const found: string[] = [];
  const must = (holds: boolean, what: () => string): void => {
    if (!holds) found.push(what());
  };
  const name = ({ kind, metadata }: KubeObject): string => `${kind} ${metadata.namespace ?? ''}/${metadata.name}`;
  const childrenOf = (owner: KubeObject): readonly Pod[] =>
    pods.filter(({ metadata }) => metadata.ownerReferences?.some(({ uid }) => uid === owner.metadata.uid));
  const living = (of: readonly Pod[]): readonly Pod[] => of.filter((pod) => !isOver(pod));

  for (const node of nodes)
    must(node.status.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') === true, () => `${name(node)} is not ready`);

  // Replicas converge.
  for (const deployment of deployments) {
    const { replicas: wanted = 1 } = deployment.spec;
    const { replicas = 0, updatedReplicas = 0, availableReplicas = 0, observedGeneration } = deployment.status;
    must(
      replicas === wanted && updatedReplicas === wanted && availableReplicas === wanted && observedGeneration === deployment.metadata.generation,
      () => `${name(deployment)} wants ${wanted}: ${JSON.stringify(deployment.status)}`,
    );
  }
  for (const set of replicaSets) {
    const count = living(childrenOf(set)).length;
    must(count === (set.spec.replicas ?? 1), () => `${name(set)} has ${count} pods of ${set.spec.replicas}`);
  }
  for (const set of statefulSets) {
    const { replicas: wanted = 1 } = set.spec;
    must(
      (set.status.readyReplicas ?? 0) === wanted && set.status.replicas === wanted,
      () => `${name(set)} wants ${wanted}: ${JSON.stringify(set.status)}`,
    );
    const names = childrenOf(set).map(({ metadata }) => metadata.name);
    const ordinals = Array.from({ length: wanted }, (_, i) => `${set.metadata.name}-${i}`);
    must(names.toSorted().join() === ordinals.toSorted().join(), () => `${name(set)} has ${names.join()}`);
  }
  for (const set of daemonSets) {
    const on = living(childrenOf(set)).map(({ spec }) => spec.nodeName ?? '');
    must(
      on.toSorted().join() ===
        nodes
          .map(({ metadata }) => metadata.name)
          .toSorted()
          .join(),
      () => `${name(set)} runs on ${on.join()}`,
    );
    must(set.status.numberReady === nodes.length, () => `${name(set)}: ${JSON.stringify(set.status)}`);
  }
  for (const job of jobs) {
    const over = job.status.conditions?.some(({ type, status }) => (type === 'Complete' || type === 'Failed') && status === 'True') === true;
    must(over || job.spec.suspend === true, () => `${name(job)} is not over: ${JSON.stringify(job.status)}`);
    const { completions, completionMode } = job.spec;
    if (
      job.status.conditions?.some(({ type, status }) => type === 'Complete' && status === 'True') &&
      completionMode === 'Indexed' &&
      completions !== undefined
    ) {
      must(job.status.succeeded === completions, () => `${name(job)} counts ${job.status.succeeded} of ${completions}`);
      const indexes = completions === 1 ? '0' : `0-${completions - 1}`;
      must(job.status.completedIndexes === (completions === 2 ? '0,1' : indexes), () => `${name(job)} has indexes ${job.status.completedIndexes}`);
    }
  }

  // Nothing is left over: no object whose owner is gone, nothing in a namespace that is gone or going, nothing being deleted.
  const objects = (
    await Promise.all(allKinds.filter(({ verbs }) => verbs.includes('list') && verbs.includes('delete')).map((kind) => all<KubeObject>(kind)))
  ).flat();
  const uids = new Set(objects.map(({ metadata }) => metadata.uid));
  const places = new Set(namespaces.map(({ metadata }) => metadata.name));
  for (const object of objects) {
    if (object.kind === 'Event') continue;
    const owners = object.metadata.ownerReferences ?? [];
    must(
      owners.length === 0 || owners.some(({ uid }) => uids.has(uid)),
      () => `${name(object)} is an orphan of ${owners.map(({ kind, name: of }) => `${kind} ${of}`).join()}`,
    );
    must(object.metadata.namespace === undefined || places.has(object.metadata.namespace), () => `${name(object)} is in a namespace that is gone`);
    must(
      object.metadata.deletionTimestamp === undefined,
      () => `${name(object)} is still being deleted (${object.metadata.finalizers?.join() ?? ''})`,
    );
  }

  // Every pod that runs does so on its node and nowhere else.
  for (const { node, uid, name: pod } of await cluster.running()) {
    const known = pods.find(({ metadata }) => metadata.uid === uid);
    must(
      known !== undefined && known.spec.nodeName === node,
      () => `${node} runs ${pod}, which is ${known === undefined ? 'no pod' : `on ${known.spec.nodeName}`}`,
    );
  }
  for (const pod of living(pods))
    must(
      pod.spec.nodeName !== undefined && isReady(pod),
      () => `${name(pod)} is ${pod.status.phase} on ${pod.spec.nodeName}: ${JSON.stringify(pod.status.conditions)}`,
    );

  // Addresses are unique.
  const unique = (what: string, values: readonly string[]): void => {
    const seen = new Set<string>();
    for (const value of values) {
      must(!seen.has(value), () => `two ${what} have ${value}`);
      seen.add(value);
    }
  };
  unique(
    'pods',
    living(pods)
      .filter(({ spec }) => spec.hostNetwork !== true)
      .flatMap(({ status }) => status.podIP ?? []),
  );
  unique(
    'services',
    services.flatMap(({ spec }) => (spec.clusterIPs ?? []).filter((address) => address !== 'None')),
  );
  unique(
    'services',
    services.flatMap(({ spec }) => (spec.ports ?? []).flatMap(({ nodePort, protocol }) => (nodePort === undefined ? [] : `${protocol} ${nodePort}`))),
  );
  unique(
    'nodes',
    nodes.flatMap(({ spec }) => spec.podCIDRs ?? []),
  );

  // Services lead to their ready pods.
  for (const service of services) {
    if (service.spec.selector === undefined) continue;
    const { selector } = service.spec;
    const wanted = living(pods).filter(
      (pod) => pod.metadata.namespace === service.metadata.namespace && selectorOf({ matchLabels: selector }).matches(pod.metadata.labels),
    );
    const led = slices
      .filter(
        ({ metadata }) =>
          metadata.namespace === service.metadata.namespace && metadata.labels?.['kubernetes.io/service-name'] === service.metadata.name,
      )
      .flatMap(({ endpoints }) => (endpoints ?? []).filter(({ conditions }) => conditions?.ready).flatMap(({ addresses }) => addresses));
    must(
      led.toSorted().join() ===
        wanted
          .flatMap(({ status }) => status.podIP ?? [])
          .toSorted()
          .join(),
      () => `${name(service)} leads to ${led.join()}`,
    );
  }

  // Quotas are exact, budgets know their pods.
  for (const quota of quotas) {
    const count = living(pods.filter(({ metadata }) => metadata.namespace === quota.metadata.namespace)).length;
    must(quota.status.used?.['pods'] === String(count), () => `${name(quota)} counts ${quota.status.used?.['pods']} pods of ${count}`);
  }
  for (const budget of budgets) {
    const matching = living(pods).filter(
      (pod) => pod.metadata.namespace === budget.metadata.namespace && selectorOf(budget.spec.selector).matches(pod.metadata.labels),
    );
    must(budget.status.currentHealthy === matching.filter(isReady).length, () => `${name(budget)}: ${JSON.stringify(budget.status)}`);
    must(
      Object.keys(budget.status.disruptedPods ?? {}).length === 0,
      () => `${name(budget)} still counts ${JSON.stringify(budget.status.disruptedPods)} as disrupted`,
    );
  }
  return found;
}
