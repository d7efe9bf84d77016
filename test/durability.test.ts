/** No acknowledged write is lost: not when the control plane is killed in the middle of writing, and not when the disk is full. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from './support/cluster-under-test.ts';
import { downWithAllIn } from './support/last-will.ts';
import { launcher, type Outcome, run } from './support/stock-tools.ts';

interface ConfigMap {
  readonly metadata: { readonly name: string; readonly resourceVersion: string; readonly uid: string };
  readonly data: { readonly n: string };
}

interface WatchEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'ERROR';
  readonly object: ConfigMap;
}

interface Listed {
  readonly revision: number;
  readonly items: ReadonlyMap<string, ConfigMap>;
}

interface Reply {
  readonly code: number;
  readonly body: string;
}

const rounds = Number(process.env['K8TS_KILLS'] ?? 5);
const lanes = 6;
const configMaps = '/api/v1/namespaces/default/configmaps';
const isRoot = process.getuid?.() === 0;

/** A zombie is dead. */
function isAlive(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) [ZX]/s.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

/** A control plane alone, of whatever data directory, and requests to it over several connections. */
class ControlPlane {
  readonly dataDir: string;
  readonly #home: string;
  readonly #port: string;
  #agent: Agent | undefined;

  constructor(home: string, dataDir: string, port: number) {
    this.#home = home;
    this.dataDir = dataDir;
    this.#port = String(port);
  }

  async up(): Promise<void> {
    const outcome = await this.#k8ts('up', '--control-plane-only', '--data-dir', this.dataDir, '--port', this.#port, '--runtime', 'simulated');
    assert.equal(outcome.code, 0, outcome.stdout + outcome.stderr);
    const pki = (name: string): string => readFileSync(join(this.dataDir, 'pki', name), 'utf8');
    this.#agent?.destroy();
    this.#agent = new Agent({ keepAlive: true, maxSockets: lanes + 2, ca: pki('ca.crt'), cert: pki('admin.crt'), key: pki('admin.key') });
  }

  get pid(): number {
    return (JSON.parse(readFileSync(join(this.dataDir, 'run', 'control-plane.json'), 'utf8')) as { pid: number }).pid;
  }

  /** Resolves when it is dead: one that is only about to die would still count as up. */
  async kill(): Promise<void> {
    const { pid } = this;
    process.kill(pid, 'SIGKILL');
    await eventually('it is dead', async () => (isAlive(pid) ? undefined : true));
  }

  async close(): Promise<void> {
    this.#agent?.destroy();
    const outcome = await this.#k8ts('down', '--purge', '--data-dir', this.dataDir);
    assert.equal(outcome.code, 0, outcome.stderr);
  }

  #k8ts(...args: string[]): Promise<Outcome> {
    return run(launcher, args, { env: { HOME: this.#home, KUBECONFIG: join(this.#home, 'kubeconfig') } });
  }

  send(method: string, path: string, body?: object): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const headers = { 'content-type': method === 'PATCH' ? 'application/merge-patch+json' : 'application/json' };
      const call = request({ host: '127.0.0.1', port: this.#port, path, method, headers, agent: this.#agent }, (answer) => {
        let text = '';
        answer.setEncoding('utf8');
        answer.on('data', (chunk: string) => (text += chunk));
        // An answer cut off acknowledges nothing.
        answer.on('end', () => (answer.complete ? resolve({ code: answer.statusCode ?? 0, body: text }) : reject(new Error('cut off'))));
        answer.on('error', reject);
      });
      call.on('error', reject);
      call.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }

  /** Calls back with every event until the connection breaks. */
  watch(from: number, heard: (event: WatchEvent) => void): Promise<void> {
    return new Promise((resolve) => {
      const path = `${configMaps}?watch=1&resourceVersion=${from}`;
      const call = request({ host: '127.0.0.1', port: this.#port, path, agent: this.#agent }, (answer) => {
        let rest = '';
        answer.setEncoding('utf8').on('data', (text: string) => {
          const lines = (rest + text).split('\n');
          rest = lines.pop() ?? '';
          for (const line of lines) heard(JSON.parse(line) as WatchEvent);
        });
        answer.on('error', () => undefined);
        answer.on('close', resolve);
      });
      call.on('error', () => resolve());
      call.end();
    });
  }

  async list(): Promise<Listed> {
    const { code, body } = await this.send('GET', configMaps);
    assert.equal(code, 200, body);
    const list = JSON.parse(body) as { metadata: { resourceVersion: string }; items: ConfigMap[] };
    return { revision: Number(list.metadata.resourceVersion), items: new Map(list.items.map((item) => [item.metadata.name, item])) };
  }
}

/** The newest acknowledged state of each object; undefined for an acknowledged deletion. */
type Acknowledged = Map<string, { readonly n: number; readonly revision: number } | undefined>;

/** One connection's writes: each object is created, changed a few times, and every third one deleted. Ends at the first request that gets no answer. */
async function writeLane(plane: ControlPlane, prefix: string, acknowledged: Acknowledged, unsure: Set<string>): Promise<void> {
  for (let i = 0; ; i++) {
    const name = `${prefix}-${i}`;
    for (let n = 0; n < 4; n++) {
      const [method, path, body] =
        n === 0
          ? (['POST', configMaps, { metadata: { name }, data: { n: '0' } }] as const)
          : n === 3 && i % 3 === 0
            ? (['DELETE', `${configMaps}/${name}`, undefined] as const)
            : (['PATCH', `${configMaps}/${name}`, { data: { n: String(n) } }] as const);
      let reply: Reply;
      try {
        reply = await plane.send(method, path, body);
      } catch {
        // It may have been written all the same, or not.
        unsure.add(name);
        return;
      }
      assert(reply.code === 200 || reply.code === 201, reply.body);
      acknowledged.set(
        name,
        method === 'DELETE' ? undefined : { n, revision: Number((JSON.parse(reply.body) as ConfigMap).metadata.resourceVersion) },
      );
    }
  }
}

function assertKept(acknowledged: Acknowledged, unsure: ReadonlySet<string>, items: ReadonlyMap<string, ConfigMap>): void {
  for (const [name, last] of acknowledged) {
    const found = items.get(name);
    if (last === undefined) {
      assert.equal(found, undefined, `${name}: its deletion was acknowledged, and it is there`);
      continue;
    }
    // The unanswered request of a lane may have deleted the object.
    if (found === undefined && unsure.has(name)) continue;
    assert(found, `${name}: acknowledged at ${last.revision}, and not there`);
    const [n, revision] = [Number(found.data.n), Number(found.metadata.resourceVersion)];
    if (unsure.has(name))
      assert(n >= last.n && revision >= last.revision, `${name}: ${n} at ${revision}, acknowledged ${last.n} at ${last.revision}`);
    else assert.deepEqual({ n, revision }, last, name);
  }
  for (const name of items.keys()) assert(acknowledged.has(name) || unsure.has(name) || name === 'kube-root-ca.crt', `${name} was never written`);
}

/** Watchers, too, are only told of what will last. */
function assertHeardIsThere({ type, object }: WatchEvent, items: ReadonlyMap<string, ConfigMap>, acknowledged: Acknowledged): void {
  const { name, resourceVersion } = object.metadata;
  const found = items.get(name);
  if (type === 'DELETED') assert.equal(found, undefined, `${name}: its deletion was heard of, and it is there`);
  // Deleted later, by a request that got no answer or whose event did not arrive; but none deletes before its creation was answered.
  else if (found === undefined) assert(acknowledged.has(name), `${name}: heard of, and not there`);
  else assert(Number(found.metadata.resourceVersion) >= Number(resourceVersion), `${name}: an older one is back`);
}

/** After the restart: what a watch from a list on tells leads to the next list. */
async function assertWatchLeads(plane: ControlPlane, from: Listed): Promise<void> {
  const [first = ''] = from.items.keys();
  await Promise.all([
    plane.send('POST', configMaps, { metadata: { name: `watched-${from.revision}` }, data: { n: '0' } }),
    plane.send('PATCH', `${configMaps}/${first}`, { metadata: { labels: { seen: String(from.revision) } } }),
  ]);
  await plane.send('DELETE', `${configMaps}/watched-${from.revision}`);
  const now = await plane.list();
  const { code, body } = await plane.send('GET', `${configMaps}?watch=1&timeoutSeconds=1&resourceVersion=${from.revision}`);
  assert.equal(code, 200, body);
  const state = new Map(from.items);
  let last = from.revision;
  for (const line of body.split('\n').filter((text) => text !== '')) {
    const { type, object } = JSON.parse(line) as WatchEvent;
    assert.notEqual(type, 'ERROR', line);
    const { name, resourceVersion } = object.metadata;
    assert(Number(resourceVersion) > last, `${resourceVersion} came after ${last}`);
    last = Number(resourceVersion);
    if (last > now.revision) break;
    assert.equal(type === 'ADDED', !state.has(name), `${type} ${name}`);
    if (type === 'DELETED') state.delete(name);
    else state.set(name, object);
  }
  assert.deepEqual(Object.fromEntries(state), Object.fromEntries(now.items));
}

describe('kill -9 of the control plane while it writes', () => {
  test(`loses nothing acknowledged, ${rounds} times over`, { timeout: 60_000 + rounds * 10_000 }, async (t) => {
    const home = mkdtempSync(join(tmpdir(), 'k8ts-durable-'));
    const will = downWithAllIn(home);
    const plane = new ControlPlane(home, join(home, 'data'), 6491);
    t.after(async () => {
      await plane.close();
      rmSync(home, { recursive: true, force: true });
      will.withdraw();
    });
    await plane.up();
    const acknowledged: Acknowledged = new Map();
    const unsure = new Set<string>();
    for (let round = 0; round < rounds; round++) {
      const before = await plane.list();
      const heard = new Map<string, WatchEvent>();
      const watching = plane.watch(before.revision, (event) => heard.set(event.object.metadata.name, event));
      const writing = Promise.all(Array.from({ length: lanes }, (_, lane) => writeLane(plane, `r${round}-l${lane}`, acknowledged, unsure)));
      const killedAfterMs = 20 + Math.floor(Math.random() * 400);
      await sleep(killedAfterMs);
      await Promise.all([plane.kill(), writing, watching]);
      const written = acknowledged.size;
      await plane.up();
      const after = await plane.list();
      t.diagnostic(`round ${round}: killed after ${killedAfterMs} ms, ${written} objects acknowledged, revision ${after.revision}`);
      for (const last of acknowledged.values()) assert((last?.revision ?? 0) <= after.revision, 'the list is older than what was acknowledged');
      assertKept(acknowledged, unsure, after.items);
      assert(heard.size > 0, 'the watch heard nothing');
      for (const event of heard.values()) assertHeardIsThere(event, after.items, acknowledged);
      await assertWatchLeads(plane, after);
      // What nobody was told of is settled now.
      const { items } = await plane.list();
      for (const name of new Set([...acknowledged.keys(), ...unsure])) {
        const found = items.get(name);
        acknowledged.set(name, found && { n: Number(found.data.n), revision: Number(found.metadata.resourceVersion) });
      }
      unsure.clear();
    }
    assert(acknowledged.size > rounds * lanes, 'there was something to lose');
  });
});

describe('a full disk', { skip: isRoot ? false : 'needs root for a small tmpfs' }, () => {
  test('fails writes cleanly, goes on reading, and takes writes again when there is space', { timeout: 60_000 }, async (t) => {
    const home = mkdtempSync(join(tmpdir(), 'k8ts-full-'));
    const disk = join(home, 'disk');
    mkdirSync(disk);
    const mounted = await run('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'k8ts-test', disk]);
    if (mounted.code !== 0) {
      rmSync(home, { recursive: true, force: true });
      t.skip(`no tmpfs may be mounted here: ${mounted.stderr.trim()}`);
      return;
    }
    const will = downWithAllIn(home);
    const plane = new ControlPlane(home, join(disk, 'data'), 6492);
    t.after(async () => {
      await plane.close();
      await run('umount', [disk]);
      rmSync(home, { recursive: true, force: true });
      will.withdraw();
    });
    await plane.up();
    const { pid } = plane;
    const filler = join(disk, 'filler');
    fillUp(filler, 3_000_000);

    const acknowledged = new Map<string, string>();
    const write = async (name: string): Promise<Reply> => {
      const reply = await plane.send('POST', configMaps, { metadata: { name }, data: { n: '0', text: name.padEnd(50_000, '.') } });
      if (reply.code === 201) acknowledged.set(name, (JSON.parse(reply.body) as ConfigMap).metadata.resourceVersion);
      return reply;
    };
    let failed: Reply | undefined;
    for (let i = 0; failed === undefined && i < 500; i++) {
      const reply = await write(`before-${i}`);
      if (reply.code !== 201) failed = reply;
    }
    assert(failed, 'the disk never was full');
    assertFailure(failed);
    assert(acknowledged.size > 10, 'some fitted');
    const replies = await Promise.all(Array.from({ length: 40 }, (_, i) => write(`full-${i}`)));
    const refused = replies.filter(({ code }) => code !== 201);
    assert(refused.length > 20, `${refused.length} of 40 failed`);
    for (const reply of refused) assertFailure(reply);
    await assertAllThere();
    assert.equal(plane.pid, pid, 'the same process');

    rmSync(filler);
    await eventually('writes work again', async () => ((await write(`after-${acknowledged.size}`)).code === 201 ? true : undefined), 10_000);
    for (let i = 0; i < 10; i++) assert.equal((await write(`later-${i}`)).code, 201);
    await assertAllThere();
    await plane.kill();
    await plane.up();
    await assertAllThere();

    async function assertAllThere(): Promise<void> {
      const { items } = await plane.list();
      for (const [name, revision] of acknowledged) assert.equal(items.get(name)?.metadata.resourceVersion, revision, name);
      assert.equal([...items.keys()].filter((name) => name !== 'kube-root-ca.crt').length, acknowledged.size, 'what was refused is not there');
      const first = await plane.send('GET', `${configMaps}/before-0`);
      assert.equal(first.code, 200);
    }
  });
});

function assertFailure({ code, body }: Reply): void {
  const status = JSON.parse(body) as { kind: string; reason: string; message: string; code: number };
  assert.equal(status.kind, 'Status');
  assert.equal(status.code, code);
  assert(code >= 500, body);
  assert.match(status.message, /no space left on the disk/);
  assert.doesNotMatch(status.message, /\n|\.ts:/);
}

/** Leaves `spare` bytes of an 8 MiB disk less than what is there already. */
function fillUp(path: string, bytes: number): void {
  writeFileSync(path, Buffer.alloc(bytes, 1));
}
