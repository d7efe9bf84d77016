/**
 * Keeps one node's nftables as the NetworkPolicies say. Pods and namespaces are watched only once there is a policy, so that a cluster without any pays
 * for one watch. What arrives while nft runs goes into the next transaction together. A pod of this node is put in its place before anything in it runs.
 */
import { Namespace, NetworkPolicy, Pod } from '../../api/node-kinds.ts';
import type { Informers } from '../../client/informer.ts';
import type { World } from '../../world/world.ts';
import { type Count, listCounters } from '../../nftables/counters.ts';
import { Nftables, noTable } from '../../nftables/nftables.ts';
import { EarlyPods } from './early-pods.ts';
import { type NameServer, podAddresses, policyPod, samePolicyPod } from './peers.ts';
import { countersOf, policyRules } from './policy-rules.ts';
import { policyTable } from './policy-table.ts';
import { emptyContent, type TableContent, tableChanges } from './table-content.ts';

export interface PolicyEnforcerOptions {
  readonly world: World;
  readonly informers: Informers;
  readonly nodeName: string;
  /** The nftables table this enforcer owns, in the `inet` family. */
  readonly table: string;
  readonly nameServer?: NameServer;
  /** How scripts reach the kernel; closed with the enforcer. */
  readonly nftables?: Pick<Nftables, 'apply' | 'close'>;
  /** What the table's counters have counted so far; asked of nft, unless a test answers. */
  readonly counters?: () => Promise<ReadonlyMap<string, Count>>;
}

export interface PolicyEnforcer {
  /** Resolves when the policies known at the start are in force. */
  readonly ready: Promise<void>;
  /**
   * Resolves when the policies hold for a pod of this node that has got these addresses; called before anything in it runs. Rejects when they cannot be
   * put in force.
   */
  admit(pod: Pod, addresses: readonly string[]): Promise<void>;
  /** Stops following changes; the rules stay, so that a restart opens no gap. */
  close(): Promise<void>;
}

const firstPauseMs = 500;
const longestPauseMs = 30_000;
/** How often the table is looked for: whoever flushes the ruleset (a firewall that starts) takes it along. */
const lookEveryMs = 30_000;
/** After its start pods wait so long for the policies to be known: when the API cannot be reached, what held before holds on. */
const knowingPatienceMs = 5_000;
/** And so long for rules; then its container is started later. */
const rulesPatienceMs = 10_000;

export function policiesTable(id: string): string {
  return `k8ts-${id}-policies`;
}

export function startPolicyEnforcer(options: PolicyEnforcerOptions): PolicyEnforcer {
  const { world, informers, table, nodeName, nameServer, nftables = new Nftables(), counters = () => listCounters('inet', table) } = options;
  const log = world.log.child('network-policy');
  const policies = informers.of(NetworkPolicy);
  const closing = new AbortController();
  const unsubscribe: (() => void)[] = [];
  /** What the table holds; `none` where there is no table, as without policies: then packets pay for nothing. */
  let applied: TableContent | 'none' | undefined;
  let dirty = true;
  let looking = false;
  let failure = '';
  let pauseMs = firstPauseMs;
  let started = false;
  let watchesPods = false;
  let running: Promise<void> | undefined;

  const touch = (): void => {
    dirty = true;
    if (started) void go();
  };
  unsubscribe.push(
    policies.subscribe({
      added: touch,
      updated: (policy, old) => {
        if (policy.metadata.generation !== old.metadata.generation) touch();
      },
      deleted: touch,
    }),
  );
  const ready = policies.synced.then(() => {
    started = true;
    return go();
  });
  ready.catch(() => undefined);
  const early = new EarlyPods();
  const patience = settles(policies.synced, knowingPatienceMs);

  const look = world.clock.every(lookEveryMs, () => {
    looking = true;
    touch();
  });

  function go(): Promise<void> {
    running ??= drain();
    return running;
  }

  async function watchPods(): Promise<void> {
    const [pods, namespaces] = [informers.of(Pod), informers.of(Namespace)];
    if (!watchesPods) {
      watchesPods = true;
      const changed = (pod: Pod, old: Pod): void => {
        early.heard(pod);
        if (!samePolicyPod(policyPod(pod), policyPod(old))) touch();
      };
      unsubscribe.push(
        pods.subscribe({
          added: (pod) => {
            early.heard(pod);
            touch();
          },
          updated: changed,
          deleted: (pod) => {
            early.gone(pod);
            touch();
          },
        }),
        namespaces.subscribe({
          added: touch,
          updated: (one, old) => {
            if (JSON.stringify(one.metadata.labels) !== JSON.stringify(old.metadata.labels)) touch();
          },
          deleted: touch,
        }),
      );
    }
    await Promise.all([pods.synced, namespaces.synced]);
  }

  function wanted(): TableContent | 'none' {
    if (policies.list().length === 0) return 'none';
    const [pods, namespaces] = [early.over(informers.of(Pod).list(), nodeName), informers.of(Namespace).list()];
    return withKeptCounters(policyRules({ nodeName, policies: policies.list(), pods, namespaces, ...(nameServer && { nameServer }) }));
  }

  /** A counter stays as long as its policy, also while no pod is here that it decides about. */
  function withKeptCounters(to: TableContent): TableContent {
    if (applied === undefined || applied === 'none') return to;
    const { counters: before } = applied;
    const unused = [...before].filter((name) => !to.counters.has(name));
    if (unused.length === 0) return to;
    const known = new Set(policies.list().flatMap(countersOf));
    return { ...to, counters: new Set([...to.counters, ...unused.filter((name) => known.has(name))]) };
  }

  /** Changes nothing where the table is there, and is refused where it is not. */
  function lookScript(): string {
    const script = looking ? `add chain inet ${table} sent\n` : '';
    looking = false;
    return script;
  }

  async function scriptTo(to: TableContent | 'none'): Promise<string> {
    if (to === 'none') return applied === 'none' ? '' : noTable('inet', table);
    if (applied !== undefined && applied !== 'none') return lookScript() + tableChanges(`inet ${table}`, applied, to);
    return policyTable(table, nameServer) + tableChanges(`inet ${table}`, emptyContent, to, await counters());
  }

  async function drain(): Promise<void> {
    // What is heard in one moment goes together.
    await Promise.resolve();
    try {
      while (dirty && !closing.signal.aborted) await round();
    } finally {
      // At once, lest something is heard between the last look and the end.
      running = undefined;
    }
  }

  async function round(): Promise<void> {
    try {
      if (policies.list().length > 0) await watchPods();
      dirty = false;
      const to = wanted();
      const script = await scriptTo(to);
      if (script !== '') await nftables.apply(script);
      applied = to;
      failure = '';
      pauseMs = firstPauseMs;
    } catch (error) {
      if (closing.signal.aborted) return;
      // Someone changed our table, or nft is missing: start over with the whole table, which needs nothing to be as we left it.
      log.error('the rules of network policies could not be set; writing them all anew', { error: String(error) });
      applied = undefined;
      dirty = true;
      failure = String(error);
      pauseMs = Math.min(2 * pauseMs, longestPauseMs);
      await world.clock.sleep(pauseMs, closing.signal).catch(() => undefined);
    }
  }

  async function admit(pod: Pod, addresses: readonly string[]): Promise<void> {
    await patience;
    if (!started || policies.list().length === 0) return;
    await watchPods();
    const { name, namespace } = pod.metadata;
    const shown = informers.of(Pod).get(name, namespace);
    const isKnown = shown !== undefined && shown.metadata.uid === pod.metadata.uid && podAddresses(shown).join() === addresses.join();
    if (!isKnown && early.add(pod, addresses)) dirty = true;
    if (!dirty && !running) return;
    if (!(await settles(go(), rulesPatienceMs))) throw new Error(`network policies are not in force for the pod: ${failure}`);
  }

  /** False when it takes longer. */
  async function settles(work: Promise<unknown>, ms: number): Promise<boolean> {
    const waiting = new AbortController();
    const late = world.clock.sleep(ms, AbortSignal.any([waiting.signal, closing.signal])).then(
      () => false,
      () => false,
    );
    const done = work.then(
      () => true,
      () => false,
    );
    const settled = await Promise.race([done, late]);
    waiting.abort();
    return settled;
  }

  return {
    ready,
    admit,
    async close() {
      closing.abort();
      look.cancel();
      for (const stop of unsubscribe) stop();
      await running;
      await nftables.close();
    },
  };
}
