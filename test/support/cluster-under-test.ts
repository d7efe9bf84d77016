/** A cluster started as a user starts one, with a home and kubeconfig of its own, and taken down with all its traces. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
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

/** Clusters differ by their port; test files run side by side, so each claims its own. */
function claimPort(): number {
  for (let port = 6500; port < 6563; port++) {
    const claim = portClaim(port);
    try {
      const holder = existsSync(claim) ? Number(readFileSync(claim, 'utf8')) : undefined;
      if (holder !== undefined && !existsSync(`/proc/${holder}`)) rmSync(claim, { force: true });
      writeFileSync(claim, String(process.pid), { flag: 'wx' });
      return port;
    } catch {
      // Another test has it.
    }
  }
  throw new Error('every port for test clusters is taken');
}

function portClaim(port: number): string {
  return join(tmpdir(), `k8ts-test-port-${port}`);
}

/** Starts one on a port of its own. `args` go to `k8ts up`. */
export async function startClusterUnderTest(...args: string[]): Promise<ClusterUnderTest> {
  const home = mkdtempSync(join(tmpdir(), 'k8ts-test-'));
  const [dataDir, kubeconfig, port] = [join(home, 'data'), join(home, 'kubeconfig'), claimPort()];
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
    rmSync(home, { recursive: true, force: true });
    rmSync(portClaim(port), { force: true });
    assert.equal(outcome.code, 0, `k8ts down\n${outcome.stdout}${outcome.stderr}`);
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
