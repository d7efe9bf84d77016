/** NetworkPolicies on real containers: who reaches whom, from the same namespace and from another, over pod addresses, Services and names. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import type { V1NetworkPolicySpec } from '../src/api/types.ts';
import { type RealPods, startRealPods } from './conformance/real-pods.ts';
import { eventually } from './support/cluster-under-test.ts';
import { run } from './support/stock-tools.ts';

let pods: RealPods;
let table: string;
const address: Record<string, string> = {};

const serve = 'mkdir -p /tmp/w; cd /tmp/w; hostname > index.html; httpd -p 81; httpd -p 82; httpd -f -p 80';

function podOf(namespace: string, name: string, extra: object = {}): object {
  const container = { name: 'main', image: 'busybox', command: ['sh', '-c', serve], ports: [{ name: 'web', containerPort: 81 }] };
  const spec = {
    terminationGracePeriodSeconds: 0,
    containers: [{ ...container, readinessProbe: { httpGet: { port: 80 }, periodSeconds: 1 } }],
    ...extra,
  };
  return { apiVersion: 'v1', kind: 'Pod', metadata: { namespace, name, labels: { app: name } }, spec };
}

before(async () => {
  pods = await startRealPods();
  const { cluster } = pods;
  const service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { namespace: 'one', name: 'server' },
    spec: { selector: { app: 'server' }, ports: [{ port: 8080, targetPort: 80 }] },
  };
  const objects = [
    ...['one', 'two'].map((name) => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels: { team: name } } })),
    podOf('one', 'server'),
    podOf('one', 'friend'),
    podOf('two', 'friend'),
    podOf('two', 'stranger'),
    podOf('two', 'host', { hostNetwork: true, containers: [{ name: 'main', image: 'busybox', command: ['sleep', '1000'] }] }),
    service,
  ];
  await cluster.kubectl('apply -f -', { input: JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }) });
  await cluster.kubectl('wait pod --all --for=condition=Ready -n one --timeout=60s', { timeoutMs: 70_000 });
  await cluster.kubectl('wait pod --all --for=condition=Ready -n two --timeout=60s', { timeoutMs: 70_000 });
  for (const [namespace, name] of [
    ['one', 'server'],
    ['one', 'friend'],
    ['two', 'friend'],
    ['two', 'stranger'],
  ] as const) {
    address[`${namespace}/${name}`] = await cluster.kubectl(['get', 'pod', name, '-n', namespace, '-o', 'jsonpath={.status.podIP}']);
  }
  const { stdout } = await run('nft', ['list', 'tables']);
  const id = readFileSync(`${cluster.dataDir}/cluster.json`, 'utf8').match(/"id": "(\w+)"/)?.[1] ?? '';
  assert.doesNotMatch(stdout, new RegExp(`k8ts-${id}-policies`), 'without policies there is no table');
  table = `k8ts-${id}-policies`;
});

after(() => pods.close());

type From = 'one/friend' | 'two/friend' | 'two/stranger' | 'one/server' | 'two/host';
const everyone = ['one/friend', 'two/friend', 'two/stranger'] as const;

/** Whether a page comes back. Asked anew a few times before a "no" is believed, and a "yes" must come at the first time of several. */
async function reaches(from: From, url: string): Promise<boolean> {
  const [namespace = '', name = ''] = from.split('/');
  const { code } = await pods.cluster.tryKubectl(['exec', '-n', namespace, name, '--', 'timeout', '2', 'wget', '-qO-', url]);
  return code === 0;
}

async function settles(from: From, url: string, expected: boolean): Promise<void> {
  await eventually(
    `${from} ${expected ? 'reaches' : 'does not reach'} ${url}`,
    async () => ((await reaches(from, url)) === expected ? true : undefined),
    20_000,
  );
}

/** Applies the policies, and takes them away when `check` is through. */
async function withPolicies(specs: Readonly<Record<string, V1NetworkPolicySpec>>, check: () => Promise<void>, namespace = 'one'): Promise<void> {
  const items = Object.entries(specs).map(([name, spec]) => ({
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name, namespace },
    spec,
  }));
  await pods.cluster.kubectl('apply -f -', { input: JSON.stringify({ apiVersion: 'v1', kind: 'List', items }) });
  try {
    await check();
  } finally {
    await pods.cluster.kubectl(`delete networkpolicy --all -n ${namespace}`);
  }
}

async function assertReached(by: readonly From[], port = 80, all: readonly From[] = everyone): Promise<void> {
  const url = `http://${address['one/server']}:${port}/`;
  for (const from of all) await settles(from, url, by.includes(from));
}

const server = { podSelector: { matchLabels: { app: 'server' } } };
const friends = { podSelector: { matchLabels: { app: 'friend' } } };

/** Packets a counter has counted. */
async function counted(name: string): Promise<number> {
  const { stdout } = await run('nft', ['list', 'counter', 'inet', table, name]);
  return Number(/packets (\d+)/.exec(stdout)?.[1]);
}

test('without a policy everyone reaches everyone', () => assertReached(everyone));

test('default deny: nobody but the node, whose probes go on, and counters say whose doing it is', () =>
  withPolicies({ closed: { podSelector: {}, policyTypes: ['Ingress'] } }, async () => {
    await assertReached([]);
    await settles('one/server', `http://${address['two/friend']}/`, true);
    await settles('two/host', `http://${address['one/server']}/`, true);
    assert((await counted('denied-in/one/closed')) > 0);
    const { stdout } = await run('curl', ['-s', '-m', '3', `http://${address['one/server']}/`]);
    assert.match(stdout, /server/);
    assert.match(await pods.cluster.kubectl('get pod server -n one'), /1\/1 +Running/);
  }));

test('by pods of the same namespace, by namespaces, by both, and by port', async () => {
  await withPolicies({ friends: { ...server, policyTypes: ['Ingress'], ingress: [{ from: [friends] }] } }, async () => {
    await assertReached(['one/friend']);
    assert((await counted('allowed-in/one/friends')) > 0);
  });
  const two = { namespaceSelector: { matchLabels: { team: 'two' } } };
  await withPolicies({ two: { ...server, policyTypes: ['Ingress'], ingress: [{ from: [two] }] } }, () =>
    assertReached(['two/friend', 'two/stranger']),
  );
  await withPolicies({ both: { ...server, policyTypes: ['Ingress'], ingress: [{ from: [{ ...two, ...friends }] }] } }, () =>
    assertReached(['two/friend']),
  );
  const named: V1NetworkPolicySpec = { ...server, policyTypes: ['Ingress'], ingress: [{ from: [two], ports: [{ port: 'web' }] }] };
  await withPolicies({ named }, async () => {
    await assertReached(['two/friend', 'two/stranger'], 81);
    await assertReached([], 80);
  });
  const range: V1NetworkPolicySpec = { ...server, policyTypes: ['Ingress'], ingress: [{ ports: [{ port: 81, endPort: 82 }] }] };
  await withPolicies({ range }, async () => {
    await assertReached([], 80);
    await assertReached(everyone, 81);
    await assertReached(everyone, 82);
  });
});

test('by blocks of addresses with exceptions', () => {
  const block = { cidr: '0.0.0.0/0', except: [`${address['two/stranger']}/32`] };
  return withPolicies({ block: { ...server, policyTypes: ['Ingress'], ingress: [{ from: [{ ipBlock: block }] }] } }, () =>
    assertReached(['one/friend', 'two/friend']),
  );
});

test('egress: whom a pod may ask, over a Service too, and names only when a policy says so', async () => {
  const url = `http://${address['one/server']}/`;
  const other = `http://${address['one/friend']}/`;
  const toServer = { to: [{ namespaceSelector: { matchLabels: { team: 'one' } }, ...server }] };
  const strangers: V1NetworkPolicySpec = { podSelector: { matchLabels: { app: 'stranger' } }, policyTypes: ['Egress'] };
  const check = async (): Promise<void> => {
    await settles('two/stranger', url, true);
    await settles('two/stranger', other, false);
    await settles('two/friend', other, true);
  };
  await withPolicies(
    { out: { ...strangers, egress: [toServer] } },
    async () => {
      await check();
      const ip = await pods.cluster.kubectl(['get', 'service', 'server', '-n', 'one', '-o', 'jsonpath={.spec.clusterIP}']);
      await settles('two/stranger', `http://${ip}:8080/`, true);
      await settles('two/stranger', 'http://server.one.svc.cluster.local:8080/', false);
      assert((await counted('denied-out/two/out')) > 0);
      assert((await counted('allowed-out/two/out')) > 0);
    },
    'two',
  );
  const names = {
    to: [
      {
        namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'kube-system' } },
        podSelector: { matchLabels: { 'k8s-app': 'kube-dns' } },
      },
    ],
    ports: [{ port: 53, protocol: 'UDP' }],
  };
  await withPolicies(
    { out: { ...strangers, egress: [toServer, names] } },
    async () => {
      await check();
      await settles('two/stranger', 'http://server.one.svc.cluster.local:8080/', true);
    },
    'two',
  );
});

test('both ends have their say, and a pod always reaches itself', () =>
  withPolicies({ in: { ...server, policyTypes: ['Ingress', 'Egress'], ingress: [{ from: [{ namespaceSelector: {} }] }] } }, async () => {
    await assertReached(everyone);
    await settles('one/server', `http://${address['two/friend']}/`, false);
    await settles('one/server', `http://${address['one/server']}/`, true);
    const ip = await pods.cluster.kubectl(['get', 'service', 'server', '-n', 'one', '-o', 'jsonpath={.spec.clusterIP}']);
    await settles('one/server', `http://${ip}:8080/`, true);
  }));

test('labels that change move a pod in and out of a policy', () =>
  withPolicies({ friends: { ...server, policyTypes: ['Ingress'], ingress: [{ from: [{ namespaceSelector: {}, ...friends }] }] } }, async () => {
    await assertReached(['one/friend', 'two/friend']);
    await pods.cluster.kubectl('label pod stranger -n two app=friend --overwrite');
    await assertReached(everyone);
    await pods.cluster.kubectl('label pod stranger -n two app=stranger --overwrite');
    await assertReached(['one/friend', 'two/friend']);
  }));

test('a policy holds for what a pod does first', () => {
  const early = { podSelector: { matchLabels: { app: 'early' } }, policyTypes: ['Egress'] };
  const ask = `timeout 2 wget -qO- http://${address['one/server']}/ > /dev/null && said=out || said=kept; echo $said > /dev/termination-log`;
  const containers = [{ name: 'main', image: 'busybox', command: ['sh', '-c', ask] }];
  const names = ['early-1', 'early-2', 'early-3'];
  const items = names.map((name) => {
    const metadata = { namespace: 'two', name, labels: { app: 'early' } };
    return { apiVersion: 'v1', kind: 'Pod', metadata, spec: { restartPolicy: 'Never', containers } };
  });
  return withPolicies(
    { early },
    async () => {
      // In force, as is seen by a pod that is there already.
      await pods.cluster.kubectl('label pod stranger -n two app=early --overwrite');
      await settles('two/stranger', `http://${address['one/server']}/`, false);
      await pods.cluster.kubectl('label pod stranger -n two app=stranger --overwrite');
      await pods.cluster.kubectl('apply -f -', { input: JSON.stringify({ apiVersion: 'v1', kind: 'List', items }) });
      for (const name of names) {
        await pods.cluster.kubectl(`wait pod ${name} -n two --for=jsonpath={.status.phase}=Succeeded --timeout=60s`, { timeoutMs: 70_000 });
        const said = ['get', 'pod', name, '-n', 'two', '-o', 'jsonpath={.status.containerStatuses[0].state.terminated.message}'];
        assert.equal((await pods.cluster.kubectl(said)).trim(), 'kept', name);
      }
      await pods.cluster.kubectl(`delete pod ${names.join(' ')} -n two`);
    },
    'two',
  );
});

test('counters go on when the node agent is started anew', () =>
  withPolicies({ closed: { ...server, policyTypes: ['Ingress'] } }, async () => {
    await settles('one/friend', `http://${address['one/server']}/`, false);
    const before = await counted('denied-in/one/closed');
    assert(before > 0);
    const { pid } = JSON.parse(readFileSync(`${pods.cluster.dataDir}/run/node-agent.json`, 'utf8')) as { pid: number };
    process.kill(pid, 'SIGKILL');
    await pods.cluster.up();
    // Until the new agent has written the table, it is the old one's.
    await settles('one/friend', `http://${address['one/server']}/`, false);
    assert((await counted('denied-in/one/closed')) > before);
  }));

test('after the last policy the table is gone, and everyone reaches everyone', async () => {
  await eventually('no table', async () => ((await run('nft', ['list', 'tables'])).stdout.includes(table) ? undefined : true));
  await assertReached(everyone);
});
