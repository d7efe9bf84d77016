/**
 * How many requests the API server answers, over TLS, from another process on the same two cores: wrk, which takes little of them. (`load.ts`, a client
 * in Node that fills the store, takes more of a core for each create than the server does, and so measures itself.)
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { startClusterUnderTest } from '../test/support/cluster-under-test.ts';
import { run } from '../test/support/stock-tools.ts';
import { type Figure, median } from './figure.ts';

const token = 'bench-token';
const listed = 3000;

export async function apiSpeed(): Promise<Figure[]> {
  if (!commandExists('wrk')) throw new Error('wrk is not installed: apt-get install -y wrk');
  const directory = mkdtempSync(join(tmpdir(), 'k8ts-bench-'));
  const tokens = join(directory, 'tokens.csv');
  writeFileSync(tokens, `${token},bench,1,"system:masters"\n`);
  const cluster = await startClusterUnderTest('--control-plane-only', '--token-auth-file', tokens);
  try {
    const load = async (namespace: string, count: number, inFlight: number): Promise<number> => {
      await cluster.kubectl(`create namespace ${namespace}`);
      const script = resolve(import.meta.dirname, 'load.ts');
      const outcome = await run(process.execPath, [script, String(cluster.port), token, namespace, String(count), String(inFlight)], {
        timeoutMs: 300_000,
      });
      if (outcome.code !== 0) throw new Error(outcome.stderr);
      return Number(outcome.stdout);
    };
    await load('warm', 3000, 32);
    const creates: number[] = [];
    for (const namespace of ['one', 'two', 'three']) {
      await cluster.kubectl(`create namespace ${namespace}`);
      creates.push(wrkCreates(cluster.port, 32, namespace));
    }
    await load('listed', listed, 32);
    const gets = [1, 2, 3].map(() => wrk(cluster.port, 16, '/api/v1/namespaces/listed/configmaps/load-1'));
    const lists = [1, 2, 3].map(() => wrk(cluster.port, 4, '/api/v1/namespaces/listed/configmaps'));
    return [
      { what: 'create configmap, 32 in flight, durable', value: median(creates), unit: '/s', upstream: 1672, aim: 5000, better: 'more' },
      { what: 'GET one object, 16 connections, TLS', value: median(gets), unit: '/s', upstream: 4968, aim: 20_000, better: 'more' },
      { what: `LIST ${listed} configmaps, 4 connections`, value: median(lists), unit: '/s', upstream: 138, aim: 700, better: 'more' },
    ];
  } finally {
    await cluster.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

function wrk(port: number, connections: number, path: string): number {
  return requestsPerSecond(connections, ['-H', `Authorization: Bearer ${token}`, `https://127.0.0.1:${port}${path}`]);
}

function wrkCreates(port: number, connections: number, namespace: string): number {
  const script = resolve(import.meta.dirname, 'create.lua');
  return requestsPerSecond(connections, ['-s', script, `https://127.0.0.1:${port}`, '--', namespace, token]);
}

function requestsPerSecond(connections: number, args: readonly string[]): number {
  const output = execFileSync('wrk', ['-t', '1', '-c', String(connections), '-d', '5s', ...args], { encoding: 'utf8' });
  if (/Non-2xx/.test(output)) throw new Error(`wrk was refused:\n${output}`);
  return Number(/Requests\/sec:\s+([\d.]+)/.exec(output)?.[1] ?? NaN);
}

function commandExists(name: string): boolean {
  try {
    execFileSync('which', [name], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
