/** One seed, from end to end: a cluster with all faults, some minutes of life, then peace, and what must hold. */
import { createHash } from 'node:crypto';
import { type FaultRates, startCluster } from '../../src/index.ts';
import { simulatedWorld } from '../../src/world/simulated.ts';
import { unkept, Watchman } from './invariants.ts';
import { calm, live } from './life.ts';

export interface SeedOutcome {
  readonly seed: number;
  /** SHA-256 of every write: revision, key and bytes. */
  readonly history: string;
  readonly writes: number;
  /** What did not hold; empty when all did. */
  readonly broken: readonly string[];
  readonly faults: readonly string[];
}

export interface SeedOptions {
  readonly rounds?: number;
  /** Without any when absent. */
  readonly faults?: Partial<FaultRates>;
  /** Takes each write as text, for comparing two runs. */
  readonly onWrite?: (line: string) => void;
  readonly onLog?: (line: string) => void;
}

/** How long the cluster may take to put everything right: past every back-off and grace period in it. */
const recoveryMs = 20 * 60_000;

export async function runSeed(seed: number, { rounds = 25, faults, onWrite, onLog }: SeedOptions = {}): Promise<SeedOutcome> {
  const hash = createHash('sha256');
  const watchman = new Watchman();
  let writes = 0;
  const cluster = await startCluster({
    clock: 'virtual',
    seed,
    nodes: 4,
    freeze: true,
    ...(faults && { faults }),
    ...(onLog && { onLog: (level, component, message, fields) => onLog(`${level} ${component}: ${message} ${JSON.stringify(fields)}`) }),
    onCommit(commit) {
      writes++;
      watchman.see(commit);
      for (const change of commit.changes) {
        const line = `${commit.revision} ${change.type} ${change.key} `;
        hash.update(line);
        if (change.type === 'put') hash.update(change.value);
        onWrite?.(line + (change.type === 'put' ? Buffer.from(change.value).toString() : ''));
      }
    },
  });
  try {
    // What people do is drawn apart from what goes wrong.
    await live(cluster, simulatedWorld(seed).random, rounds);
    await cluster.stopFaults();
    await calm(cluster);
    const endMs = cluster.now().getTime() + recoveryMs;
    let left = await unkept(cluster);
    while (left.length > 0 && cluster.now().getTime() < endMs) {
      await cluster.advance('10s');
      left = await unkept(cluster);
    }
    return { seed, history: hash.digest('hex'), writes, broken: [...watchman.found, ...left], faults: cluster.faults() };
  } finally {
    await cluster.close();
  }
}
