/**
 * Keeps one node's nftables as the NetworkPolicies say. Pods and namespaces are watched only once there is a policy, so that a cluster without any pays
 * for one watch. What arrives while nft runs goes into the next transaction together.
 */
import { Namespace, NetworkPolicy, Pod } from '../../api/kinds.ts';
import type { Informers } from '../../client/informer.ts';
import type { World } from '../../world/world.ts';
import { runCommand } from '../command.ts';
import { type NameServer, policyPod, samePolicyPod } from './peers.ts';
import { policyRules } from './policy-rules.ts';
import { noPolicyTable, policyTable } from './policy-table.ts';
import { emptyContent, type TableContent, tableChanges } from './table-content.ts';

export interface PolicyEnforcerOptions {
  readonly world: World;
  readonly informers: Informers;
  readonly nodeName: string;
  /** The nftables table this enforcer owns, in the `inet` family. */
  readonly table: string;
  readonly nameServer?: NameServer;
  /** How a script reaches the kernel; nft, unless a test listens. */
  readonly apply?: (script: string) => Promise<void>;
}

export interface PolicyEnforcer {
  /** Resolves when the policies known at the start are in force. */
  readonly ready: Promise<void>;
  /** Stops following changes; the rules stay, so that a restart opens no gap. */
  close(): Promise<void>;
}

const firstPauseMs = 500;
const longestPauseMs = 30_000;

export function policiesTable(id: string): string {
  return `k8ts-${id}-policies`;
}

export function startPolicyEnforcer(options: PolicyEnforcerOptions): PolicyEnforcer {
  const { world, informers, table, nodeName, nameServer, apply = nft } = options;
  const log = world.log.child('network-policy');
  const policies = informers.of(NetworkPolicy);
  const closing = new AbortController();
  const unsubscribe: (() => void)[] = [];
  /** What the table holds; `none` where there is no table, as without policies: then packets pay for nothing. */
  let applied: TableContent | 'none' | undefined;
  let dirty = true;
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

  function go(): Promise<void> {
    running ??= drain().finally(() => (running = undefined));
    return running;
  }

  async function watchPods(): Promise<void> {
    const [pods, namespaces] = [informers.of(Pod), informers.of(Namespace)];
    if (!watchesPods) {
      watchesPods = true;
      const changed = (pod: Pod, old: Pod): void => {
        if (!samePolicyPod(policyPod(pod), policyPod(old))) touch();
      };
      unsubscribe.push(
        pods.subscribe({ added: touch, updated: changed, deleted: touch }),
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
    const [pods, namespaces] = [informers.of(Pod).list(), informers.of(Namespace).list()];
    return policyRules({ nodeName, policies: policies.list(), pods, namespaces, ...(nameServer && { nameServer }) });
  }

  function scriptTo(to: TableContent | 'none'): string {
    if (to === 'none') return applied === 'none' ? '' : noPolicyTable(table);
    const from = applied === undefined || applied === 'none' ? undefined : applied;
    return (from ? '' : policyTable(table, nameServer)) + tableChanges(`inet ${table}`, from ?? emptyContent, to);
  }

  async function drain(): Promise<void> {
    while (dirty && !closing.signal.aborted) {
      try {
        if (policies.list().length > 0) await watchPods();
        dirty = false;
        const to = wanted();
        const script = scriptTo(to);
        if (script !== '') await apply(script);
        applied = to;
        pauseMs = firstPauseMs;
      } catch (error) {
        if (closing.signal.aborted) return;
        // Someone changed our table, or nft is missing: start over with the whole table, which needs nothing to be as we left it.
        log.error('the rules of network policies could not be set; writing them all anew', { error: String(error) });
        applied = undefined;
        dirty = true;
        pauseMs = Math.min(2 * pauseMs, longestPauseMs);
        await world.clock.sleep(pauseMs, closing.signal).catch(() => undefined);
      }
    }
  }

  return {
    ready,
    async close() {
      closing.abort();
      for (const stop of unsubscribe) stop();
      await running;
    },
  };
}

async function nft(script: string): Promise<void> {
  await runCommand('nft', ['-f', '-'], script);
}

/** Takes the table off the host; one that is not there is no error. */
export async function removePolicyRules(table: string): Promise<void> {
  await nft(noPolicyTable(table)).catch(() => undefined);
}
