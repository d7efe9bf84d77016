/**
 * One pod on each node that answers over both families of addresses, and asks for others: who asked whom over HTTP, and datagrams of any size. For tests of
 * what is between nodes.
 */
import assert from 'node:assert/strict';
import type { ClusterUnderTest } from './cluster-under-test.ts';
import { run } from './stock-tools.ts';

export interface EchoPod {
  readonly name: string;
  readonly node: string;
  /** IPv4 first. */
  readonly ips: readonly string[];
}

const httpPort = 8080;
const udpPort = 9000;

const server = `
const udp = require('node:dgram').createSocket('udp6');
udp.on('message', (message, from) => udp.send(String(message.length), from.port, from.address)).bind(${udpPort});
require('node:http')
  .createServer((request, response) => response.end(JSON.stringify({ pod: process.env.POD, from: request.socket.remoteAddress.replace(/^::ffff:/, '') })))
  .listen(${httpPort}, '::');
process.on('SIGTERM', () => process.exit());
`;

/** They carry the label `app: echo`. */
export async function startEchoPods(cluster: ClusterUnderTest, nodes: readonly string[]): Promise<EchoPod[]> {
  const field = (name: string, fieldPath: string): object => ({ name, valueFrom: { fieldRef: { fieldPath } } });
  const items = nodes.map((node) => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: `echo-${node}`, labels: { app: 'echo' } },
    spec: {
      nodeName: node,
      terminationGracePeriodSeconds: 1,
      containers: [
        {
          name: 'main',
          image: 'k8ts.local/hello:1',
          command: ['node', '-e', server],
          env: [field('POD', 'metadata.name'), field('POD_IPS', 'status.podIPs'), field('HOST_IPS', 'status.hostIPs')],
          readinessProbe: { httpGet: { port: httpPort }, periodSeconds: 1 },
        },
      ],
    },
  }));
  await cluster.kubectl('apply -f -', { input: JSON.stringify({ apiVersion: 'v1', kind: 'List', items }) });
  await cluster.kubectl('wait pod -l app=echo --for=condition=Ready --timeout=60s', { timeoutMs: 70_000 });
  const list = JSON.parse(await cluster.kubectl('get pods -l app=echo -o json')) as {
    items: { metadata: { name: string }; spec: { nodeName: string }; status: { podIPs: { ip: string }[] } }[];
  };
  return list.items.map(({ metadata, spec, status }) => ({ name: metadata.name, node: spec.nodeName, ips: status.podIPs.map(({ ip }) => ip) }));
}

/** What a script prints in a pod. */
export async function inPod(cluster: ClusterUnderTest, pod: EchoPod, script: string): Promise<string> {
  return (await cluster.kubectl(['exec', pod.name, '--', 'node', '-e', script], { timeoutMs: 30_000 })).trim();
}

export interface Answer {
  readonly pod: string;
  /** The address the answerer saw. */
  readonly from: string;
}

export function hostAndPort(ip: string, port: number = httpPort): string {
  return ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`;
}

/** Who answers a pod at `host:port`; undefined when nobody does. */
export async function ask(cluster: ClusterUnderTest, from: EchoPod, where: string): Promise<Answer | undefined> {
  // A connection that is never made would keep the program for ten seconds.
  const script = `fetch('http://${where}/', { signal: AbortSignal.timeout(2000) }).then((answer) => answer.text()).then(console.log, () => undefined).then(() => process.exit())`;
  const text = await inPod(cluster, from, script);
  return text === '' ? undefined : (JSON.parse(text) as Answer);
}

/** Datagrams of these sizes, in IP packets of their own, to the other pod: how many bytes arrived of each, or "lost". */
async function datagrams(cluster: ClusterUnderTest, from: EchoPod, ip: string, sizes: readonly number[]): Promise<string[]> {
  const script = `
    const udp = require('node:dgram').createSocket('${ip.includes(':') ? 'udp6' : 'udp4'}');
    const send = (size) => new Promise((resolve) => {
      const timer = setTimeout(() => resolve('lost'), 2500);
      udp.once('message', (message) => { clearTimeout(timer); resolve(String(message)); });
      udp.send(Buffer.alloc(size), ${udpPort}, '${ip}');
    });
    (async () => { const all = []; for (const size of [${sizes.join()}]) all.push(await send(size)); console.log(all.join(' ')); udp.close(); })()`;
  return (await inPod(cluster, from, script)).split(' ');
}

/** How many packets were cut in pieces so far: in the pod, and on the nodes. */
async function fragments(cluster: ClusterUnderTest, pod: EchoPod, namespaces: readonly string[]): Promise<{ inPod: number; onNodes: number }> {
  const files = ['/proc/net/snmp', '/proc/net/snmp6'];
  const pods = await inPod(cluster, pod, `for (const file of ${JSON.stringify(files)}) console.log(require('node:fs').readFileSync(file, 'utf8'))`);
  let onNodes = 0;
  for (const namespace of namespaces) {
    const { code, stdout, stderr } = await run('nsenter', [`--net=/run/netns/${namespace}`, 'cat', ...files]);
    assert.equal(code, 0, stderr);
    onNodes += fragmentsIn(stdout);
  }
  return { inPod: fragmentsIn(pods), onNodes };
}

/** As the kernel counts them, in two forms: a line of names above one of numbers, and a line for each. */
function fragmentsIn(text: string): number {
  const [names = [], values = []] = [...text.matchAll(/^Ip: (.*)$/gm)].map((match) => (match[1] ?? '').split(' '));
  const v6 = /^Ip6FragCreates\s+(\d+)$/m.exec(text)?.[1];
  const v4 = values[names.indexOf('FragCreates')];
  assert.ok(v4 !== undefined && v6 !== undefined, text);
  return Number(v4) + Number(v6);
}

/**
 * The largest packet of the pods' MTU, which Linux sends with "do not fragment", reaches the other pod whole: neither the pod nor a node cut it. One byte
 * more, and the pod itself cuts it: its MTU is not larger, either.
 */
export async function assertMtu(
  cluster: ClusterUnderTest,
  [from, to]: readonly EchoPod[],
  mtu: number,
  namespaces: readonly string[],
): Promise<void> {
  assert.ok(from && to);
  for (const ip of to.ips) {
    const most = mtu - (ip.includes(':') ? 40 : 20) - 8;
    const before = await fragments(cluster, from, namespaces);
    assert.deepEqual(await datagrams(cluster, from, ip, [most]), [String(most)], `${ip}, ${mtu} bytes`);
    assert.deepEqual(await fragments(cluster, from, namespaces), before, `${ip}: a packet of ${mtu} bytes was cut`);
    assert.deepEqual(await datagrams(cluster, from, ip, [most + 1]), [String(most + 1)], `${ip}, in two pieces`);
    // On their way the nodes put pieces together, to know whose they are, and cut them again.
    assert.equal((await fragments(cluster, from, namespaces)).inPod, before.inPod + 2, `${ip}: pieces of a packet that is too large`);
  }
}
