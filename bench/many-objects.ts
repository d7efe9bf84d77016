/**
 * How the API server bears 100,000 pods: how long it takes to start over them, how much memory they take, how long a page of 500 takes to list while others
 * write, and what a selector on labels costs.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { openLmdbStore } from '../src/store/lmdb.ts';
import { realWorld } from '../src/world/real.ts';
import { benchToken, startApiProcess } from './api-process.ts';
import type { Figure } from './figure.ts';
import { realisticPod } from './realistic-pod.ts';

const pods = 100_000;
const namespaces = 100;
const pageSize = 500;
const writesPerSecond = 200;
const listSeconds = 20;
const warmUpSeconds = 5;

export async function manyObjects(): Promise<Figure[]> {
  const path = mkdtempSync(join(tmpdir(), 'k8ts-bench-objects-'));
  try {
    // Twice: the first start makes what every cluster has.
    const podBytes = await fill(path);
    await (await startApiProcess(path)).close();
    const server = await startApiProcess(path);
    const client = clientOf(server.port);
    try {
      const restBytes = (await server.usage()).rssBytes;
      const byLabel = await timesOf(50, (i) => client.get(`/api/v1/pods?labelSelector=app%3Dapp-${(i * 7) % 1_000}&limit=10`));
      const stop = new AbortController();
      const writing = keepWriting(client, stop.signal);
      // A server that has run for a moment is asked, not one whose code is still being compiled.
      await listPages(server.port, warmUpSeconds);
      const pages = await listPages(server.port, listSeconds);
      stop.abort();
      const written = await writing;
      const worked = await server.usage();
      return [
        { what: `pods: bytes of each of ${pods.toLocaleString('en')}`, value: podBytes, unit: 'B', better: 'less' },
        { what: 'pods: API server ready over them', value: server.startMs, unit: 'ms', aim: 3_000, better: 'less' },
        { what: 'pods: resident memory at rest', value: restBytes / 1e6, unit: 'MB', aim: 1_000, better: 'less' },
        { what: 'pods: resident memory after the lists', value: worked.rssBytes / 1e6, unit: 'MB', better: 'less' },
        { what: 'pods: of these not pages of files', value: worked.ownBytes / 1e6, unit: 'MB', aim: 1_000, better: 'less' },
        { what: `pods: page of ${pageSize}, P50`, value: pages.p50Ms, unit: 'ms', better: 'less' },
        { what: `pods: page of ${pageSize}, P99, ${writesPerSecond} writes/s`, value: pages.p99Ms, unit: 'ms', aim: 20, better: 'less' },
        { what: 'pods: writes meanwhile', value: written, unit: '/s', aim: writesPerSecond, better: 'more' },
        { what: 'pods: 10 by a label, first time', value: byLabel[0] ?? NaN, unit: 'ms', better: 'less' },
        { what: 'pods: 10 by a label, P50', value: percentile(byLabel, 0.5), unit: 'ms', aim: 5, better: 'less' },
      ];
    } finally {
      client.close();
      await server.close();
    }
  } finally {
    rmSync(path, { recursive: true, force: true });
  }
}

/** Straight into the store, as the server would have written them. Answers the mean size. */
async function fill(path: string): Promise<number> {
  const store = await openLmdbStore({ path, world: realWorld({ level: 'error' }) });
  let bytes = 0;
  for (let start = 0; start < pods; start += 1_000) {
    await Promise.all(
      Array.from({ length: 1_000 }, (_, i) => {
        const namespace = `team-${(start + i) % namespaces}`;
        const pod = realisticPod(start + i, namespace) as { metadata: { name: string } };
        const value = Buffer.from(JSON.stringify(pod));
        bytes += value.length;
        return store.commit([{ type: 'put', key: `/registry/core/pods/${namespace}/${pod.metadata.name}`, value }]);
      }),
    );
  }
  await store.close();
  return bytes / pods;
}

interface Client {
  get(path: string): Promise<string>;
  patch(path: string, body: object): Promise<string>;
  close(): void;
}

function clientOf(port: number): Client {
  const agent = new Agent({ keepAlive: true, rejectUnauthorized: false });
  const send = (method: string, path: string, body?: object): Promise<string> =>
    new Promise((resolve, reject) => {
      const headers = { authorization: `Bearer ${benchToken}`, ...(body && { 'content-type': 'application/merge-patch+json' }) };
      const call = request({ host: '127.0.0.1', port, path, method, headers, agent }, (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => (text += chunk));
        response.on('error', reject);
        response.on('end', () => {
          if (response.statusCode === 200) resolve(text);
          else reject(new Error(`${method} ${path} answered ${response.statusCode}: ${text.slice(0, 300)}`));
        });
      });
      call.on('error', reject);
      call.end(body && JSON.stringify(body));
    });
  return { get: (path) => send('GET', path), patch: (path, body) => send('PATCH', path, body), close: () => agent.destroy() };
}

/** Answers how many writes a second there were. */
async function keepWriting(client: Client, signal: AbortSignal): Promise<number> {
  const begin = performance.now();
  const underWay = new Set<Promise<unknown>>();
  let count = 0;
  while (!signal.aborted) {
    const due = ((performance.now() - begin) / 1000) * writesPerSecond;
    for (; count < due; count++) {
      const index = (count * 7_919) % pods;
      const namespace = `team-${index % namespaces}`;
      const { name } = (realisticPod(index, namespace) as { metadata: { name: string } }).metadata;
      const write = client.patch(`/api/v1/namespaces/${namespace}/pods/${name}/status`, { status: { message: `written ${count}` } });
      underWay.add(write);
      void write.finally(() => underWay.delete(write));
    }
    await sleep(5);
  }
  await Promise.all(underWay);
  return count / ((performance.now() - begin) / 1000);
}

interface Pages {
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Lists from the first page to the last, again and again, by `wrk`: the collector of a client in JavaScript would stand still for longer than the server takes. */
async function listPages(port: number, seconds: number): Promise<Pages> {
  const script = fileURLToPath(new URL('pages.lua', import.meta.url));
  const url = `https://127.0.0.1:${port}`;
  const wrk = ['-t1', '-c1', `-d${seconds}s`, '-s', script, url, '--', `/api/v1/pods?limit=${pageSize}`, benchToken];
  const { stdout } = await promisify(execFile)('wrk', wrk);
  const [, pages, refused, p50, p99] = /pages (\d+) refused (\d+) p50 (\S+) p99 (\S+)/.exec(stdout) ?? [];
  if (Number(refused) > 0 || !(Number(pages) > pods / pageSize)) throw new Error(`wrk did not get through the pages: ${stdout}`);
  return { p50Ms: Number(p50), p99Ms: Number(p99) };
}

async function timesOf(count: number, call: (index: number) => Promise<unknown>): Promise<number[]> {
  const times: number[] = [];
  for (let i = 0; i < count; i++) {
    const start = performance.now();
    await call(i);
    times.push(performance.now() - start);
  }
  return times;
}

function percentile(values: readonly number[], part: number): number {
  return values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * part))] ?? NaN;
}

if (import.meta.main) for (const { what, value, unit } of await manyObjects()) console.log(`${what}: ${value.toFixed(1)} ${unit}`);
