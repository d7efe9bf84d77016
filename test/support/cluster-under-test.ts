/**
 * A cluster started as a user starts one, with a home and kubeconfig of its own, and taken down with all its traces: by `close`, or when the test's process
 * ends without it.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { downWithAllIn } from './last-will.ts';
import { launcher, type Outcome, run, type RunOptions, stockTools } from './stock-tools.ts';

export interface ClusterUnderTest {
  readonly dataDir: string;
  readonly port: number;
  readonly kubeconfig: string;
  readonly env: Readonly<Record<string, string>>;
  /** What `up` printed. */
  readonly output: string;
  /** Stock kubectl; fails the test when it exits other than 0. Answers what it printed. */
  kubectl(args: string | readonly string[], options?: RunOptions): Promise<string>;
  /** Stock kubectl, whatever comes of it. */
  tryKubectl(args: string | readonly string[], options?: RunOptions): Promise<Outcome>;
  helm(args: string | readonly string[], options?: RunOptions): Promise<string>;
  k8ts(args: readonly string[], options?: RunOptions): Promise<Outcome>;
  up(...args: string[]): Promise<string>;
  /** `down --purge`, and the home directory goes too. */
  close(): Promise<void>;
}

/** A port that is ours until it is released, or this process ends. */
interface PortClaim {
  readonly port: number;
  release(): void;
}

/** Clusters differ by their port; test files run side by side, so each claims its own: by a socket of its name, which nobody else can have meanwhile. */
async function claimPort(): Promise<PortClaim> {
  for (let port = 6500; port < 6563; port++) {
    const claim = await listening(`\0k8ts-test-port-${port}`);
    if (claim === undefined) continue;
    // A cluster that a test left behind when it was killed may still have it.
    const trial = await listening(port);
    trial?.close();
    if (trial) return { port, release: () => claim.close() };
    claim.close();
  }
  throw new Error('every port for test clusters is taken');
}

/** Undefined when somebody listens there already. */
function listening(where: string | number): Promise<Server | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(undefined));
    server.listen(where, () => resolve(server.unref()));
  });
}

/** Starts one on a port of its own. `args` go to `k8ts up`. */
export async function startClusterUnderTest(...args: string[]): Promise<ClusterUnderTest> {
  const home = mkdtempSync(join(tmpdir(), 'k8ts-test-'));
  const will = downWithAllIn(home);
  const [dataDir, kubeconfig] = [join(home, 'data'), join(home, 'kubeconfig')];
  const { port, release } = await claimPort();
  const env = { HOME: home, KUBECONFIG: kubeconfig };
  const tools = stockTools();
  const words = (list: string | readonly string[]): readonly string[] => (typeof list === 'string' ? list.split(' ') : list);
  const must = async (program: string, list: string | readonly string[], options: RunOptions = {}): Promise<string> => {
    const outcome = await run(program, words(list), { ...options, env: { ...env, ...options.env } });
    assert.equal(outcome.code, 0, `${program} ${words(list).join(' ')}\n${outcome.stdout}${outcome.stderr}`);
    return outcome.stdout;
  };
  const k8ts = (list: readonly string[], options: RunOptions = {}): Promise<Outcome> =>
    run(launcher, list, { ...options, env: { ...env, ...options.env } });
  const up = async (...more: string[]): Promise<string> => {
    const outcome = await k8ts(['up', '--data-dir', dataDir, '--port', String(port), ...more], { timeoutMs: 120_000 });
    assert.equal(outcome.code, 0, `k8ts up\n${outcome.stdout}${outcome.stderr}`);
    return outcome.stdout;
  };
  const close = async (): Promise<void> => {
    const outcome = await k8ts(['down', '--purge', '--data-dir', dataDir], { timeoutMs: 120_000 });
    // What could not be taken down is tried again when this process has ended.
    assert.equal(outcome.code, 0, `k8ts down\n${outcome.stdout}${outcome.stderr}`);
    rmSync(home, { recursive: true, force: true });
    release();
    will.withdraw();
  };
  try {
    const output = await up(...args);
    return {
      dataDir,
      port,
      kubeconfig,
      env,
      output,
      k8ts,
      up,
      close,
      kubectl: (list, options) => must(tools.kubectl, list, options),
      tryKubectl: (list, options = {}) => run(tools.kubectl, words(list), { ...options, env: { ...env, ...options.env } }),
      helm: (list, options) => must(tools.helm, list, options),
    };
  } catch (error) {
    await close().catch(() => undefined);
    throw error;
  }
}

/** Asks again and again until it answers something; fails with the last reason when it never does. For what has no event to wait on. */
export async function eventually<T>(what: string, ask: () => Promise<T | undefined>, patienceMs = 30_000): Promise<T> {
  const deadline = performance.now() + patienceMs;
  let reason: unknown = 'it never was so';
  while (performance.now() < deadline) {
    try {
      const answer = await ask();
      if (answer !== undefined) return answer;
    } catch (error) {
      reason = error;
    }
    await sleep(100);
  }
  throw new Error(`${what}: not within ${patienceMs} ms`, { cause: reason });
}
