/** Three real nodes on one host, each in a network namespace of its own: pods across them, and what becomes of pods when a node dies, is cut off or goes. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type ClusterUnderTest, eventually, startClusterUnderTest } from './support/cluster-under-test.ts';
import { hostRemains } from './support/host-remains.ts';
import { killEverything } from './support/kill-everything.ts';
import { run } from './support/stock-tools.ts';

const names = ['node-1', 'node-2', 'node-3'];
/** Nobody hears of a dead node for 50 s (upstream's grace period); a busy machine takes its time, too. */
const noticedMs = 90_000;

let cluster: ClusterUnderTest;
let id = '';

before(async () => {
  cluster = await startClusterUnderTest('--nodes', '3');
  id = (JSON.parse(readFileSync(join(cluster.dataDir, 'cluster.json'), 'utf8')) as { id: string }).id;
});
after(() => cluster.close());

async function node(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await cluster.k8ts(['node', ...args, '--data-dir', cluster.dataDir], { timeoutMs: 90_000 });
  assert.equal(code, 0, `k8ts node ${args.join(' ')}\n${stdout}${stderr}`);
  return stdout;
}

interface PodPlace {
  readonly name: string;
  readonly node: string;
  readonly ip: string;
  readonly ready: boolean;
  readonly restarts: number;
}

/** Pods of the app that are not on their way out. */
async function podsOf(app: string): Promise<PodPlace[]> {
  const list = JSON.parse(await cluster.kubectl(['get', 'pods', '-l', `app=${app}`, '-o', 'json'])) as {
    items: {
      metadata: { name: string; deletionTimestamp?: string };
      spec: { nodeName: string };
      status: { podIP?: string; conditions?: { type: string; status: string }[]; containerStatuses?: { restartCount: number }[] };
    }[];
  };
  return list.items
    .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
    .map(({ metadata, spec, status }) => ({
      name: metadata.name,
      node: spec.nodeName,
      ip: status.podIP ?? '',
      ready: status.conditions?.some(({ type, status: state }) => type === 'Ready' && state === 'True') ?? false,
      restarts: status.containerStatuses?.[0]?.restartCount ?? 0,
    }));
}

/** What a pod is answered; undefined when nobody does. */
async function askFrom(pod: string, url: string): Promise<string | undefined> {
  const script = `fetch('${url}', { signal: AbortSignal.timeout(3000) }).then((answer) => answer.text()).then((text) => process.stdout.write(text))`;
  const { code, stdout } = await cluster.tryKubectl(['exec', pod, '--', 'node', '-e', script], { timeoutMs: 20_000 });
  return code === 0 && stdout !== '' ? stdout : undefined;
}

async function readyOf(name: string): Promise<string> {
  return cluster.kubectl(['get', 'node', name, '-o', 'jsonpath={.status.conditions[?(@.type=="Ready")].status}']);
}

const addressOf = (name: string): Promise<string> =>
  cluster.kubectl(['get', 'node', name, '-o', 'jsonpath={.status.addresses[?(@.type=="InternalIP")].address}']);

test('each node joined by itself: an address of its own, and certificates by request', async () => {
  const addresses = await Promise.all(names.map(addressOf));
  assert.equal(new Set(addresses).size, 3);
  const issued = await cluster.kubectl([
    'get',
    'csr',
    '-o',
    'jsonpath={range .items[*]}{.spec.username} {.spec.signerName} {.status.conditions[0].type}{"\\n"}{end}',
  ]);
  for (const name of names) assert.match(issued, new RegExp(`system:node:${name} kubernetes.io/kubelet-serving Approved`));
  assert.equal(issued.match(/^system:bootstrap:\w+ kubernetes.io\/kube-apiserver-client-kubelet Approved$/gm)?.length, 3);
  const tokens = await cluster.k8ts(['token', 'list', '--data-dir', cluster.dataDir]);
  assert.equal(tokens.stdout.trim().split('\n').length, 1, `a token outlived its use:\n${tokens.stdout}`);
  for (const name of names) assert.match(await node('list'), new RegExp(`^${name} +[0-9.]+ +running +Ready$`, 'm'));
});

test('pods on different nodes reach each other by address, by Service and by name', async () => {
  await cluster.kubectl(['apply', '-f', '-'], { input: web });
  await cluster.kubectl('expose deployment web --port=80 --target-port=8080 --type=NodePort');
  await cluster.kubectl('rollout status deployment/web --timeout=60s', { timeoutMs: 70_000 });
  const pods = await podsOf('web');
  assert.deepEqual(pods.map((pod) => pod.node).sort(), names, 'one on each node');
  const clusterIp = await cluster.kubectl('get service web -o jsonpath={.spec.clusterIP}');
  for (const from of pods) {
    for (const to of pods)
      assert.equal(await askFrom(from.name, `http://${to.ip}:8080/`), `hello from ${to.name}, version 1\n`, `${from.node} → ${to.node}`);
    for (const host of [clusterIp, 'web', 'web.default.svc.cluster.local']) {
      assert.match((await eventually(`${host} from ${from.node}`, () => askFrom(from.name, `http://${host}/`))) ?? '', /^hello from web-/);
    }
  }
  assert.match(await cluster.kubectl(['logs', pods[0]?.name ?? '']), /listens/);
});

test('a NodePort is answered on the address of each node', async () => {
  const port = await cluster.kubectl('get service web -o jsonpath={.spec.ports[0].nodePort}');
  for (const name of names) {
    const { stdout } = await run('curl', ['-s', '--max-time', '5', `http://${await addressOf(name)}:${port}/`]);
    assert.match(stdout, /^hello from web-/, name);
  }
});

/** What the Ingress says of where it is reached, in order. */
async function ingressAddresses(): Promise<string[]> {
  return (await cluster.kubectl('get ingress web -o jsonpath={.status.loadBalancer.ingress[*].ip}')).split(' ').sort();
}

async function untilIngressIsAt(addresses: readonly string[], patienceMs?: number): Promise<void> {
  const wanted = [...addresses].sort().join(' ');
  await eventually(`the Ingress is at ${wanted}`, async () => ((await ingressAddresses()).join(' ') === wanted ? true : undefined), patienceMs);
  for (const address of addresses) {
    const ask = async (): Promise<true | undefined> =>
      (await run('curl', ['-s', '--max-time', '5', '-H', 'Host: web.example.com', `http://${address}/`])).stdout.startsWith('hello from web-')
        ? true
        : undefined;
    await eventually(`the Ingress answers at ${address}`, ask);
  }
}

test('every node serves an Ingress', async () => {
  await cluster.kubectl(['create', 'ingress', 'web', '--rule=web.example.com/*=web:80']);
  await untilIngressIsAt(await Promise.all(names.map(addressOf)));
});

test('a node that is killed is noticed, and its pods are elsewhere after the tolerated time; started again, it serves', async () => {
  // The one that writes where Ingresses are: another has to take that over.
  const victim = await cluster.kubectl('get lease k8ts-ingress -n kube-system -o jsonpath={.spec.holderIdentity}');
  assert.ok(names.includes(victim), victim);
  await node('kill', victim);
  await eventually('the node is not Ready', async () => ((await readyOf(victim)) === 'True' ? undefined : true), noticedMs);
  const pods = await eventually(
    'three ready pods on two nodes',
    async () => {
      const alive = (await podsOf('web')).filter((pod) => pod.ready);
      return alive.length === 3 && alive.every((pod) => pod.node !== victim) ? alive : undefined;
    },
    60_000,
  );
  for (const pod of pods) assert.match((await askFrom(pod.name, 'http://web/')) ?? '', /^hello from web-/);
  await untilIngressIsAt(await Promise.all(names.filter((name) => name !== victim).map(addressOf)), 60_000);
  await node('start', victim);
  assert.equal(await readyOf(victim), 'True');
  await cluster.kubectl('scale deployment web --replicas=4');
  await eventually('a pod on the node that came back', async () => (await podsOf('web')).find((pod) => pod.node === victim && pod.ready));
  await untilIngressIsAt(await Promise.all(names.map(addressOf)));
});

test('a node that is cut off goes on; healed, it is Ready with the same containers', async () => {
  await cluster.kubectl(['apply', '-f', '-'], { input: patient });
  const patientPod = await eventually('the pod runs', async () => (await podsOf('patient')).find((pod) => pod.ready));
  await node('partition', 'node-2');
  assert.match(await node('list'), /^node-2 +\S+ +cut off/m);
  const [other] = (await podsOf('web')).filter((pod) => pod.node !== 'node-2' && pod.ready);
  assert.ok(other);
  assert.equal(await askFrom(other.name, `http://${patientPod.ip}:8080/`), undefined);
  await eventually('the node is not Ready', async () => ((await readyOf('node-2')) === 'True' ? undefined : true), noticedMs);
  await node('heal', 'node-2');
  await eventually('the node is Ready', async () => ((await readyOf('node-2')) === 'True' ? true : undefined), 60_000);
  const healed = await eventually('the pod is ready', async () => (await podsOf('patient')).find((pod) => pod.ready));
  assert.deepEqual([healed.name, healed.ip, healed.restarts], [patientPod.name, patientPod.ip, 0]);
  await eventually('it is reached', () => askFrom(other.name, `http://${healed.ip}:8080/`));
});

test('drained, a node has no pods of Deployments; uncordoned, it gets some again', async () => {
  await cluster.kubectl('drain node-1 --ignore-daemonsets --timeout=60s', { timeoutMs: 70_000 });
  assert.deepEqual(
    (await podsOf('web')).filter((pod) => pod.node === 'node-1'),
    [],
  );
  await cluster.kubectl('uncordon node-1');
  await cluster.kubectl('scale deployment web --replicas=6');
  await eventually('a pod on the node', async () => (await podsOf('web')).find((pod) => pod.node === 'node-1' && pod.ready));
});

test('a node whose agent alone was killed keeps its containers', async () => {
  const before = (await podsOf('patient'))[0];
  const { pid } = JSON.parse(readFileSync(join(cluster.dataDir, 'nodes', 'node-2', 'run', 'node-agent.json'), 'utf8')) as { pid: number };
  process.kill(pid, 'SIGKILL');
  assert.match(await node('list'), /^node-2 +\S+ +stopped/m);
  await cluster.up();
  assert.match(await node('list'), /^node-2 +\S+ +running/m);
  const [after] = await podsOf('patient');
  assert.deepEqual([after?.name, after?.ip, after?.restarts], [before?.name, before?.ip, 0]);
});

test('a node can be added and deleted; the ways to it go with it', async () => {
  await node('add', 'extra');
  const podCidr = await cluster.kubectl('get node extra -o jsonpath={.spec.podCIDR}');
  const routes = (): Promise<string> => run('ip', ['-netns', `k8ts-${id}-node-1`, 'route']).then(({ stdout }) => stdout);
  await eventually('node-1 knows the way', async () => ((await routes()).includes(podCidr) ? true : undefined));
  await node('delete', 'extra');
  assert.doesNotMatch(await cluster.kubectl('get nodes -o name'), /extra/);
  await eventually('node-1 forgets the way', async () => ((await routes()).includes(podCidr) ? undefined : true));
  assert.doesNotMatch(await cluster.kubectl('get endpointslices -n kube-system -o name'), /extra/);
  const { code, stderr } = await cluster.k8ts(['node', 'stop', 'extra', '--data-dir', cluster.dataDir]);
  assert.equal(code, 1);
  assert.match(stderr, /there is no node extra/);
});

test('after a restart of the whole cluster all nodes and pods are there again', async () => {
  const before = (await podsOf('web')).map((pod) => pod.name).sort();
  const { code } = await cluster.k8ts(['down', '--data-dir', cluster.dataDir], { timeoutMs: 60_000 });
  assert.equal(code, 0);
  assert.deepEqual(await hostRemains(id, cluster.dataDir), []);
  await cluster.up();
  const pods = await eventually(
    'all pods are ready',
    async () => {
      const all = await podsOf('web');
      return all.length === before.length && all.every((pod) => pod.ready) ? all : undefined;
    },
    60_000,
  );
  assert.deepEqual(pods.map((pod) => pod.name).sort(), before);
  for (const pod of pods.slice(0, 2)) await eventually('the Service answers', () => askFrom(pod.name, 'http://web/'));
});

test('nothing is left behind, not even when everything was killed', async () => {
  killEverything(cluster);
  const { code, stderr } = await cluster.k8ts(['down', '--purge', '--data-dir', cluster.dataDir], { timeoutMs: 60_000 });
  assert.equal(code, 0, stderr);
  assert.deepEqual(await hostRemains(id, cluster.dataDir), []);
});

/** One pod on each node, and not long on one that is gone. */
const web = `
apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  replicas: 3
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      topologySpreadConstraints:
      - { maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: ScheduleAnyway, labelSelector: { matchLabels: { app: web } } }
      tolerations:
      - { key: node.kubernetes.io/not-ready, operator: Exists, effect: NoExecute, tolerationSeconds: 60 }
      - { key: node.kubernetes.io/unreachable, operator: Exists, effect: NoExecute, tolerationSeconds: 1 }
      containers:
      - { name: hello, image: "k8ts.local/hello:1" }
`;

const patient = `
apiVersion: v1
kind: Pod
metadata: { name: patient, labels: { app: patient } }
spec:
  nodeName: node-2
  containers:
  - { name: hello, image: "k8ts.local/hello:1" }
`;
