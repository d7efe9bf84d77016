/**
 * A thousand watchers of one kind while objects of it are updated five hundred times a second: how far the slowest is behind, and what that takes of a core.
 * Every watcher is read in full; how far behind it is is asked of some of them, since a client in Node cannot parse half a million events a second.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { benchToken, startApiProcess } from './api-process.ts';
import type { Figure } from './figure.ts';

const watchers = 1_000;
const measured = 50;
/** So many that updates of one need not wait for each other. */
const objects = 100;
const updatesPerSecond = 500;
const seconds = 10;
const path = '/api/v1/namespaces/default/configmaps';

export async function watcherSpeed(): Promise<Figure[]> {
  const directory = mkdtempSync(join(tmpdir(), 'k8ts-bench-watchers-'));
  const server = await startApiProcess(directory);
  const writing = new Agent({ keepAlive: true, rejectUnauthorized: false });
  const stop = new AbortController();
  try {
    const send = (method: string, to: string, body: object, contentType: string): Promise<string> =>
      exchange(server.port, writing, method, to, body, contentType);
    for (let i = 0; i < objects; i++) await send('POST', path, { metadata: { name: `beat-${i}` }, data: { sentMs: '0' } }, 'application/json');
    const lags: number[] = [];
    let events = 0;
    const opened: Promise<void>[] = [];
    for (let i = 0; i < watchers; i++) {
      const isMeasured = i < measured;
      // A crowd that comes at once would measure handshakes.
      if (i % 20 === 0) await Promise.all(opened);
      opened.push(
        watch(server.port, stop.signal, (chunk) => {
          if (!isMeasured) return;
          const nowMs = performance.now();
          for (const match of chunk.toString('latin1').matchAll(/"sentMs":"([\d.]+)"/g)) {
            if (match[1] === '0') continue;
            events++;
            lags.push(nowMs - Number(match[1]));
          }
        }),
      );
    }
    await Promise.all(opened);
    const before = (await server.usage()).cpuMs;
    const begin = performance.now();
    const underWay = new Set<Promise<unknown>>();
    let count = 0;
    while (performance.now() - begin < seconds * 1_000) {
      const due = ((performance.now() - begin) / 1_000) * updatesPerSecond;
      for (; count < due; count++) {
        const update = send(
          'PATCH',
          `${path}/beat-${count % objects}`,
          { data: { sentMs: performance.now().toFixed(1) } },
          'application/merge-patch+json',
        );
        underWay.add(update);
        void update.finally(() => underWay.delete(update));
      }
      await sleep(2);
    }
    await Promise.all(underWay);
    const elapsedMs = performance.now() - begin;
    const core = ((await server.usage()).cpuMs - before) / elapsedMs;
    await sleep(500);
    const sorted = lags.toSorted((a, b) => a - b);
    return [
      {
        what: `watchers: updates/s with ${watchers} watchers`,
        value: count / (elapsedMs / 1_000),
        unit: '/s',
        aim: updatesPerSecond,
        better: 'more',
      },
      { what: 'watchers: events each saw of 100 updates', value: (events / measured / count) * 100, unit: '', aim: 100, better: 'more' },
      { what: 'watchers: behind, P99', value: sorted[Math.floor(sorted.length * 0.99)] ?? NaN, unit: 'ms', better: 'less' },
      { what: 'watchers: behind, the most', value: sorted.at(-1) ?? NaN, unit: 'ms', aim: 100, better: 'less' },
      { what: 'watchers: of one core', value: core * 100, unit: '%', aim: 60, better: 'less' },
    ];
  } finally {
    stop.abort();
    writing.destroy();
    await server.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Resolves when the watch has begun. */
function watch(port: number, signal: AbortSignal, onData: (chunk: Buffer) => void): Promise<void> {
  const agent = new Agent({ rejectUnauthorized: false });
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${benchToken}` };
    const call = request({ host: '127.0.0.1', port, path: `${path}?watch=true&resourceVersion=0`, headers, agent }, (response) => {
      response.on('data', onData);
      response.on('error', () => undefined);
      resolve();
    });
    signal.addEventListener('abort', () => call.destroy(), { once: true });
    call.on('error', (error) => (signal.aborted ? undefined : reject(error)));
    call.end();
  });
}

function exchange(port: number, agent: Agent, method: string, to: string, body: object, contentType: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${benchToken}`, 'content-type': contentType };
    const call = request({ host: '127.0.0.1', port, agent, method, path: to, headers }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => (text += chunk));
      response.on('end', () =>
        Math.floor((response.statusCode ?? 0) / 100) === 2 ? resolve(text) : reject(new Error(`${response.statusCode}: ${text}`)),
      );
    });
    call.on('error', reject);
    call.end(JSON.stringify(body));
  });
}

if (import.meta.main) for (const { what, value, unit } of await watcherSpeed()) console.log(`${what}: ${value.toFixed(1)} ${unit}`);
