/**
 * Machines that join a cluster elsewhere: two network namespaces on different networks stand for them, with a router between. What they are told, what they
 * prove, and their pods' way through the VXLAN tunnel.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type ClusterUnderTest, eventually, startClusterUnderTest } from './support/cluster-under-test.ts';
import { hostRemains } from './support/host-remains.ts';
import { type LastWill, lastWill } from './support/last-will.ts';
import { launcher, type Outcome, run } from './support/stock-tools.ts';

interface Machine {
  readonly name: string;
  readonly namespace: string;
  readonly device: string;
  readonly address: string;
  readonly router: string;
  readonly dataDir: string;
}

let cluster: ClusterUnderTest;
let machines: readonly Machine[] = [];
const wills: LastWill[] = [];
/** Off the machine with what joined there, and off the host with the machine. */
const leaveScript = 'nsenter "--net=/run/netns/$1" "$4" down --purge --data-dir "$3"; ip netns delete "$1"; ip link delete "$2"';

before(async () => {
  cluster = await startClusterUnderTest('--control-plane-only');
  machines = [1, 2].map((number) => {
    const net = `10.${60 + (cluster.port % 64)}.${number}`;
    return {
      name: `machine-${number}`,
      namespace: `k8ts-test-${cluster.port}-${number}`,
      device: `kt${cluster.port}-${number}`,
      address: `${net}.2`,
      router: `${net}.1`,
      dataDir: join(cluster.dataDir, `machine-${number}`),
    };
  });
  for (const { namespace, device, address, router, dataDir } of machines) {
    wills.push(lastWill(leaveScript, namespace, device, dataDir, launcher));
    await ip('netns', 'add', namespace);
    await ip('link', 'add', device, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', namespace);
    await ip('address', 'add', `${router}/24`, 'dev', device);
    await ip('link', 'set', device, 'up');
    for (const line of ['link set lo up', `address add ${address}/24 dev eth0`, 'link set eth0 up', `route add default via ${router}`]) {
      await ip('-netns', namespace, ...line.split(' '));
    }
  }
});

after(async () => {
  for (const machine of machines) {
    await inside(machine, launcher, 'down', '--purge', '--data-dir', machine.dataDir);
    await run('ip', ['netns', 'delete', machine.namespace]);
    await run('ip', ['link', 'delete', machine.device]);
  }
  for (const will of wills) will.withdraw();
  await cluster.close();
});

async function ip(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await run('ip', args);
  assert.equal(code, 0, `ip ${args.join(' ')}: ${stderr}`);
  return stdout;
}

/** As typed on that machine. */
function inside(machine: Machine, ...command: string[]): Promise<Outcome> {
  return run('nsenter', [`--net=/run/netns/${machine.namespace}`, '--', ...command], { env: cluster.env, timeoutMs: 120_000 });
}

async function k8ts(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await cluster.k8ts([...args, '--data-dir', cluster.dataDir]);
  assert.equal(code, 0, `k8ts ${args.join(' ')}\n${stdout}${stderr}`);
  return stdout.trim();
}

function joinAs(machine: Machine, words: readonly string[]): Promise<Outcome> {
  return inside(machine, launcher, ...words, '--data-dir', machine.dataDir, '--node-name', machine.name, '--node-ip', machine.address);
}

test('what does not join: a wrong hash, a wrong token, no hash, a server that is not one', async () => {
  const [machine] = machines;
  assert.ok(machine);
  const words = (await k8ts('token', 'create', '--print-join-command', '--ttl', '10m')).split(' ').slice(1);
  const without = words.slice(0, 4);
  const cases: readonly [readonly string[], RegExp][] = [
    [[...without, '--discovery-token-ca-cert-hash', `sha256:${'0'.repeat(64)}`], /none of the cluster's authorities has the hash/],
    [[...without, '--discovery-token-ca-cert-hash', 'md5:1'], /a hash looks like/],
    [without, /anybody who knows the token could pose as the cluster/],
    [
      words.map((word) => (/^[a-z0-9]{6}\.[a-z0-9]{16}$/.test(word) ? word.replace(/.$/, (last) => (last === 'a' ? 'b' : 'a')) : word)),
      /is the token right/,
    ],
    [words.map((word) => (/^[a-z0-9]{6}\.[a-z0-9]{16}$/.test(word) ? 'abc' : word)), /a token looks like/],
    [words.map((word) => word.replace('https', 'http')), /given as https/],
  ];
  for (const [given, message] of cases) {
    const { code, stderr } = await joinAs(machine, given);
    assert.match(stderr, message);
    assert.equal(code, 1);
  }
  assert.equal(await cluster.kubectl('get nodes -o name'), '');
});

test('one command joins a machine; the token is of no more use when its time is over', async () => {
  const words = (await k8ts('token', 'create', '--print-join-command', '--description', 'for the test')).split(' ').slice(1);
  assert.match(await k8ts('token', 'list'), /for the test/);
  const outcomes = await Promise.all(machines.map((machine) => joinAs(machine, words)));
  for (const { code, stdout, stderr } of outcomes) assert.equal(code, 0, stdout + stderr);
  for (const { name, address } of machines) {
    assert.equal(await cluster.kubectl(['get', 'node', name, '-o', 'jsonpath={.status.addresses[0].address}']), address);
  }
  const [first] = machines;
  assert.ok(first);
  const { stderr } = await joinAs({ ...first, dataDir: `${first.dataDir}-again` }, words);
  assert.match(stderr, /a Node with name "machine-1" and status "Ready" already exists/);
  const token = words.find((word) => /^[a-z0-9]{6}\./.test(word)) ?? '';
  await k8ts('token', 'delete', token);
  const refused = await joinAs(
    { ...first, name: 'machine-3', dataDir: `${first.dataDir}-again` },
    words.map((word) => word),
  );
  assert.match(refused.stderr, /does not know the token|Ready|is the token right/);
});

test('pods on both reach each other through the tunnel, at its size, and the API server reaches them for logs and exec', async () => {
  for (const { name } of machines) {
    const overrides = JSON.stringify({ spec: { nodeName: name } });
    await cluster.kubectl(['run', `on-${name}`, '--image=k8ts.local/hello:1', `--overrides=${overrides}`, '--labels=app=web']);
  }
  await cluster.kubectl('wait pod --all --for=condition=Ready --timeout=60s', { timeoutMs: 70_000 });
  await cluster.kubectl('create service clusterip web --tcp=80:8080');
  for (const [from, to] of [
    [0, 1],
    [1, 0],
  ] as const) {
    const address = await cluster.kubectl(['get', 'pod', `on-${machines[to]?.name ?? ''}`, '-o', 'jsonpath={.status.podIP}']);
    const pod = `on-${machines[from]?.name ?? ''}`;
    const fetchText = (url: string): string => `fetch('${url}').then((answer) => answer.text()).then((text) => process.stdout.write(text))`;
    assert.match(await cluster.kubectl(['exec', pod, '--', 'node', '-e', fetchText(`http://${address}:8080/`)]), /^hello from on-machine-/);
    await eventually('the Service answers by name', async () => {
      const { code, stdout } = await cluster.tryKubectl(['exec', pod, '--', 'node', '-e', fetchText('http://web/')]);
      return code === 0 && stdout.startsWith('hello') ? true : undefined;
    });
    assert.match(await cluster.kubectl(['logs', pod]), /listens/);
  }
  const [machine] = machines;
  assert.ok(machine);
  const device = await ip('-netns', machine.namespace, '-details', 'link', 'show', 'type', 'vxlan');
  assert.match(device, /mtu 1450 .*nolearning/s);
  assert.match(
    await cluster.kubectl(['exec', 'on-machine-1', '--', 'node', '-p', `require('fs').readFileSync('/sys/class/net/eth0/mtu', 'utf8')`]),
    /^1450/,
  );
});

test('a node that is deleted is forgotten by the other, and comes back by itself while its machine lives', async () => {
  const [one, two] = machines;
  assert.ok(one && two);
  const range = await cluster.kubectl('get node machine-2 -o jsonpath={.spec.podCIDR}');
  const entries = async (): Promise<string> => (await ip('-netns', one.namespace, 'route')) + (await ip('-netns', one.namespace, 'neigh'));
  assert.ok((await entries()).includes(range));
  await inside(two, launcher, 'down', '--data-dir', two.dataDir);
  await cluster.kubectl('delete node machine-2');
  await eventually('the way is gone', async () => ((await entries()).includes(range.replace(/\.\d+\/\d+$/, '.')) ? undefined : true));
  const { code, stdout, stderr } = await inside(two, launcher, 'up', '--data-dir', two.dataDir);
  assert.equal(code, 0, stdout + stderr);
  assert.equal(await cluster.kubectl('get node machine-2 -o jsonpath={.status.conditions[?(@.type=="Ready")].status}'), 'True');
});

test('taken down, a machine keeps nothing of it', async () => {
  for (const machine of machines) {
    const { settings } = JSON.parse(readFileSync(join(machine.dataDir, 'node.json'), 'utf8')) as { settings: { id: string } };
    const { code, stdout, stderr } = await inside(machine, launcher, 'down', '--purge', '--data-dir', machine.dataDir);
    assert.equal(code, 0, stdout + stderr);
    assert.deepEqual(await hostRemains(settings.id, machine.dataDir), []);
    const { stdout: devices } = await run('ip', ['-netns', machine.namespace, '-brief', 'link']);
    assert.deepEqual(
      devices
        .match(/^\S+/gm)
        ?.map((name) => name.replace(/@.*/, ''))
        .sort(),
      ['eth0', 'lo'],
    );
    assert.equal((await run('nsenter', [`--net=/run/netns/${machine.namespace}`, 'nft', 'list', 'tables'])).stdout.includes(settings.id), false);
    assert.doesNotMatch(await ip('-netns', machine.namespace, 'route'), /proto 142/);
  }
});
