/** `k8ts node …`: each verb, used twice, at once, in the middle of another and on what is not there; and what a node leaves when it goes. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { once } from 'node:events';
import { join } from 'node:path';
import { after, before as beforeAll, test } from 'node:test';
import { type ClusterUnderTest, eventually, startClusterUnderTest } from './support/cluster-under-test.ts';
import { hostRemains } from './support/host-remains.ts';
import { launcher, type Outcome, run, start } from './support/stock-tools.ts';

let cluster: ClusterUnderTest;
let id = '';

beforeAll(async () => {
  cluster = await startClusterUnderTest('--nodes', '2');
  id = idOf(cluster);
});
after(() => cluster.close());

function idOf({ dataDir }: ClusterUnderTest): string {
  return (JSON.parse(readFileSync(join(dataDir, 'cluster.json'), 'utf8')) as { id: string }).id;
}

const tryNode = (...args: string[]): Promise<Outcome> => cluster.k8ts(['node', ...args, '--data-dir', cluster.dataDir], { timeoutMs: 90_000 });

async function node(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await tryNode(...args);
  assert.equal(code, 0, `k8ts node ${args.join(' ')}\n${stdout}${stderr}`);
  return stdout;
}

/** Plain words and an exit code of 1. */
async function refused(says: RegExp, ...args: string[]): Promise<void> {
  const { code, stdout, stderr } = await tryNode(...args);
  assert.equal(code, 1, stdout);
  assert.match(stderr, says);
  assert.doesNotMatch(stderr, /\n\s+at |\.ts:\d/);
}

async function stateOf(name: string): Promise<string | undefined> {
  return new RegExp(`^${name} +\\S+ +(running|stopped|cut off) `, 'm').exec(await node('list'))?.[1];
}

test('a name that no node has, or can have, is refused in words', async () => {
  const unknown = /^k8ts: there is no node nope on this host, only node-1, node-2\n$/;
  await Promise.all(['start', 'stop', 'kill', 'partition', 'heal', 'delete'].map((verb) => refused(unknown, verb, 'nope')));
  const odd = ['Upper', 'a.b', '../up', 'a-', 'a'.repeat(64)].map((name) => refused(/is no name for a node/, 'add', name));
  await Promise.all([refused(/^k8ts: there is a node node-1 already\n$/, 'add', 'node-1'), ...odd]);
});

test('a node that is stopped gives its pods their grace', async () => {
  const out = join(cluster.dataDir, 'out');
  mkdirSync(out);
  chmodSync(out, 0o777);
  const script = `
    process.on('SIGTERM', () => setTimeout(() => { require('node:fs').writeFileSync('/out/word', 'in order'); process.exit(0); }, 2000));
    require('node:fs').writeFileSync('/out/ready', '');
    setInterval(() => {}, 1000);`;
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'tidy' },
    spec: {
      nodeName: 'node-2',
      terminationGracePeriodSeconds: 20,
      containers: [
        { name: 'main', image: 'k8ts.local/hello:1', command: ['node', '-e', script], volumeMounts: [{ name: 'out', mountPath: '/out' }] },
      ],
      volumes: [{ name: 'out', hostPath: { path: out, type: 'Directory' } }],
    },
  };
  await cluster.kubectl('create -f -', { input: JSON.stringify(pod) });
  await eventually('it runs', async () => (existsSync(join(out, 'ready')) ? true : undefined));
  assert.match(await node('stop', 'node-2'), /^Node node-2 is stopped; k8ts node start node-2 brings it back\.$/m);
  assert.equal(readFileSync(join(out, 'word'), 'utf8'), 'in order');
});

test('a stopped node can be stopped and killed again, and not be cut off', async () => {
  await node('stop', 'node-2');
  await node('kill', 'node-2');
  await refused(/the node node-2 does not run: start it with k8ts node start node-2/, 'partition', 'node-2');
  await refused(/the node node-2 does not run/, 'heal', 'node-2');
  assert.equal(await stateOf('node-2'), 'stopped');
});

test('two who start a node at once both find it Ready, and so does who comes after one that was killed', async () => {
  const killed = start(launcher, ['node', 'start', 'node-2', '--data-dir', cluster.dataDir], { env: cluster.env });
  await eventually('it is at work', async () => (existsSync(join(cluster.dataDir, 'run/node-node-2/owner.pid')) ? true : undefined));
  killed.kill('SIGKILL');
  await once(killed, 'exit');
  const said = await Promise.all([node('start', 'node-2'), node('start', 'node-2')]);
  for (const text of said) assert.match(text, /^Node node-2 (is Ready|runs already)\.$/m);
  assert.equal(await stateOf('node-2'), 'running');
  await node('heal', 'node-2');
});

test('a power cut in the middle of a start wins', async () => {
  await node('kill', 'node-2');
  const starting = tryNode('start', 'node-2');
  await eventually('it is at work', async () => (existsSync(join(cluster.dataDir, 'run/node-node-2/owner.pid')) ? true : undefined));
  await node('kill', 'node-2');
  const { stderr } = await starting;
  assert.doesNotMatch(stderr, /\n\s+at |\.ts:\d/);
  assert.equal(await stateOf('node-2'), 'stopped');
  await node('start', 'node-2');
});

test('of two who add the same node one does; deleted in the middle of a start it is gone with all its traces', async () => {
  const outcomes = await Promise.all([tryNode('add', 'extra'), tryNode('add', 'extra')]);
  assert.deepEqual(new Set(outcomes.map(({ code }) => code)), new Set([0, 1]));
  assert.match(outcomes.map(({ stderr }) => stderr).join(''), /^k8ts: there is a node extra already\n$/);
  await node('partition', 'extra');
  await node('partition', 'extra');
  assert.equal(await stateOf('extra'), 'cut off');
  await node('stop', 'extra');
  const starting = tryNode('start', 'extra');
  const deleted = await Promise.all([tryNode('delete', 'extra'), tryNode('delete', 'extra')]);
  await starting;
  assert.deepEqual(new Set(deleted.map(({ code }) => code)), new Set([0, 1]));
  assert.match(deleted.map(({ stderr }) => stderr).join(''), /there is no node extra on this host/);
  await eventually('the API has nothing of it', async () =>
    (await cluster.kubectl('get nodes,leases,csinodes -A -o name')).includes('extra') ? undefined : true,
  );
  assert.deepEqual(await hostRemains(`${id}-extra`, join(cluster.dataDir, 'nodes', 'extra')), []);
  assert.equal(existsSync(join(cluster.dataDir, 'nodes', 'extra')), false);
  const devices = (await run('ip', ['-brief', 'link'])).stdout.split('\n').filter((line) => line.startsWith(`k8tsn${id}`));
  assert.equal(devices.length, 2, devices.join('\n'));
});

test("another cluster's node of the same name is another's", async () => {
  const other = await startClusterUnderTest('--control-plane-only');
  try {
    const inOther = async (...args: string[]): Promise<void> => {
      const { code, stderr } = await other.k8ts(['node', ...args, '--data-dir', other.dataDir], { timeoutMs: 90_000 });
      assert.equal(code, 0, stderr);
    };
    await inOther('add', 'node-1');
    const uid = (): Promise<string> => cluster.kubectl('get node node-1 -o jsonpath={.metadata.uid}');
    const before = await uid();
    await inOther('kill', 'node-1');
    assert.equal(await stateOf('node-1'), 'running');
    await inOther('delete', 'node-1');
    assert.equal(await stateOf('node-1'), 'running');
    assert.equal(await uid(), before);
  } finally {
    await other.close();
  }
});
