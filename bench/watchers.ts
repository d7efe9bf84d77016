/**
 * A thousand watchers of one kind while objects of it are updated five hundred times a second: how far the slowest is behind, and what that takes of a core.
 * Every watcher is read in full, by a process of its own; how far behind it is is asked of some of them.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { benchToken, startApiProcess } from './api-process.ts';
import type { Figure } from './figure.ts';
import type { Seen } from './watch-client.ts';

const watchers = 1_000;
/** So many that updates of one need not wait for each other. */
const objects = 100;
const updatesPerSecond = 500;
const seconds = 10;
const warmUpSeconds = 5;
const path = '/api/v1/namespaces/default/configmaps';

export async function watcherSpeed(): Promise<Figure[]> {
  const directory = mkdtempSync(join(tmpdir(), 'k8ts-bench-watchers-'));
  const server = await startApiProcess(directory);
  const client = fileURLToPath(new URL('watch-client.ts', import.meta.url));
  const writing = new Agent({ keepAlive: true, rejectUnauthorized: false });
  let crowd: ChildProcess | undefined;
  try {
    const send: Send = (method, to, body, contentType) => exchange(server.port, writing, method, to, body, contentType);
    for (let i = 0; i < objects; i++) await send('POST', path, { metadata: { name: `beat-${i}` }, data: { sentMs: '0' } }, 'application/json');
    crowd = fork(client, [String(server.port), String(watchers), `${path}?watch=true&resourceVersion=0`, benchToken]);
    await opened(crowd);
    await sleep(500);
    // A server that has run for a moment is asked, not one whose code is still being compiled.
    await update(send, warmUpSeconds);
    await sleep(500);
    await seenBy(crowd);
    const before = (await server.usage()).cpuMs;
    const begin = performance.now();
    const count = await update(send, seconds);
    const elapsedMs = performance.now() - begin;
    const core = ((await server.usage()).cpuMs - before) / elapsedMs;
    await sleep(500);
    const { events, lagsMs } = await seenBy(crowd);
    return [
      {
        what: `watchers: updates/s with ${watchers} watchers`,
        value: count / (elapsedMs / 1_000),
        unit: '/s',
        aim: updatesPerSecond,
        better: 'more',
      },
      { what: 'watchers: events each saw of 100 updates', value: (events / watchers / count) * 100, unit: '', aim: 100, better: 'more' },
      { what: 'watchers: behind, P99', value: lagsMs[Math.floor(lagsMs.length * 0.99)] ?? NaN, unit: 'ms', better: 'less' },
      { what: 'watchers: behind, the most', value: lagsMs.at(-1) ?? NaN, unit: 'ms', aim: 100, better: 'less' },
      { what: 'watchers: of one core', value: core * 100, unit: '%', aim: 60, better: 'less' },
    ];
  } finally {
    crowd?.kill();
    writing.destroy();
    await server.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

type Send = (method: string, to: string, body: object, contentType: string) => Promise<string>;

/** Updates at an even rate for so long, and answers how many when all are through. */
async function update(send: Send, forSeconds: number): Promise<number> {
  const begin = performance.now();
  const underWay = new Set<Promise<unknown>>();
  let count = 0;
  while (performance.now() - begin < forSeconds * 1_000) {
    const due = ((performance.now() - begin) / 1_000) * updatesPerSecond;
    for (; count < due; count++) {
      const body = { data: { sentMs: (performance.timeOrigin + performance.now()).toFixed(1) } };
      const sent = send('PATCH', `${path}/beat-${count % objects}`, body, 'application/merge-patch+json');
      underWay.add(sent);
      void sent.finally(() => underWay.delete(sent));
    }
    await sleep(2);
  }
  await Promise.all(underWay);
  return count;
}

async function opened(crowd: ChildProcess): Promise<void> {
  const ended = once(crowd, 'exit').then(() => {
    throw new Error('the watchers could not begin');
  });
  await Promise.race([once(crowd, 'message'), ended]);
  ended.catch(() => undefined);
}

/** What the watchers have seen since they were asked last. */
async function seenBy(crowd: ChildProcess): Promise<Seen> {
  const answer = once(crowd, 'message');
  crowd.send('seen');
  const [seen] = (await answer) as [Seen];
  return seen;
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
