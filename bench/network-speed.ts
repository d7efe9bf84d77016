/**
 * The network of a node: how soon a change of a Service is in nftables with few and with many Services, what the first packet of a connection pays for
 * them, and how many names are answered. What needs only nftables runs in a network namespace of its own.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { get } from 'node:http';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { decode, encode } from 'dns-packet';
import { EndpointSlice, Pod, Service } from '../src/api/kinds.ts';
import type { Kind } from '../src/api/kind.ts';
import { FakeTransport } from '../src/client/fake-transport.ts';
import { httpTransport } from '../src/client/http.ts';
import { createInformers } from '../src/client/informers.ts';
import { connectionOf } from '../src/client/kubeconfig.ts';
import { createClient } from '../src/client/typed-client.ts';
import type { KubeObject } from '../src/machinery/object.ts';
import { Nftables } from '../src/nftables/nftables.ts';
import { startProxy } from '../src/proxy/proxy.ts';
import { realWorld } from '../src/world/real.ts';
import { type ClusterUnderTest, startClusterUnderTest } from '../test/support/cluster-under-test.ts';
import { type Figure, median } from './figure.ts';

const run = promisify(execFile);
const place = 'k8ts-bench';
const backend = '10.244.0.5';
const created = { resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' };

export async function networkSpeed(): Promise<Figure[]> {
  const few = await inNamespace(10);
  const many = await inNamespace(5_000);
  const most = await inNamespace(10_000);
  return [
    { what: 'Service update, 10 Services', value: few.updateMs, unit: 'ms', better: 'less' },
    { what: 'Service update, 5,000 Services', value: many.updateMs, unit: 'ms', aim: 20, better: 'less' },
    { what: 'first packet, 10 Services', value: few.connectUs, unit: 'µs', better: 'less' },
    { what: 'first packet, 10,000 Services', value: most.connectUs, unit: 'µs', aim: few.connectUs * 1.2, better: 'less' },
    ...(await onCluster()),
  ];
}

/** A proxy with so many Services: what a new endpoint costs until it is in nftables, and a connection through one of the Services. */
async function inNamespace(count: number): Promise<{ updateMs: number; connectUs: number }> {
  await run('ip', ['netns', 'delete', place]).catch(() => undefined);
  await run('ip', ['netns', 'add', place]);
  const transport = new FakeTransport();
  const set = <T extends KubeObject>(kind: Kind<T>, object: KubeObject): unknown => transport.set(pathOf(kind, object), object);
  const world = realWorld({ level: 'silent' });
  const informers = createInformers(createClient(transport), world);
  try {
    for (const words of ['link set lo up', `address add ${backend}/32 dev lo`, 'route add default dev lo']) await inside('ip', words.split(' '));
    for (let index = 0; index < count; index++) {
      set(Service, service(index));
      set(EndpointSlice, slice(index, 1));
    }
    let applied = (): void => undefined;
    const kernel = new Nftables(['nsenter', `--net=/run/netns/${place}`, 'nft']);
    const nftables = { apply: (script: string) => kernel.apply(script).then(() => applied()), close: () => kernel.close() };
    const proxy = startProxy({
      world,
      informers,
      table: 'bench',
      nodeName: 'here',
      clusterCidr: '10.244.0.0/16',
      nftables,
      forget: () => Promise.resolve(),
      list: () => Promise.resolve([]),
    });
    await proxy.ready;
    const connectUs = await connectLatency(count);
    const updates: number[] = [];
    for (let round = 0; round < 15; round++) {
      const done = new Promise<void>((resolve) => (applied = resolve));
      const begin = performance.now();
      set(EndpointSlice, slice(round % count, round < count ? 2 : 1));
      await done;
      updates.push(performance.now() - begin);
      await sleep(20);
    }
    await proxy.close();
    return { updateMs: median(updates), connectUs };
  } finally {
    informers.close();
    await run('ip', ['netns', 'delete', place]);
  }
}

function inside(command: string, words: readonly string[]): Promise<unknown> {
  return run('ip', ['netns', 'exec', place, command, ...words]);
}

/** Of connections through Services one after the other, each the first packet of its flow. */
async function connectLatency(count: number): Promise<number> {
  const script = `
    const { createServer, connect } = require('node:net');
    createServer((socket) => socket.destroy()).listen(8080, '${backend}', async () => {
      const times = [];
      for (let round = 0; round < 1500; round++) {
        const index = (round * 7919) % ${count};
        const begin = process.hrtime.bigint();
        await new Promise((resolve, reject) => {
          const socket = connect(80, '10.' + (96 + (index >> 16)) + '.' + ((index >> 8) & 255) + '.' + (index & 255));
          socket.on('connect', () => { times.push(Number(process.hrtime.bigint() - begin) / 1000); });
          socket.on('error', reject);
          socket.on('close', resolve);
        });
      }
      times.sort((a, b) => a - b);
      console.log(times[times.length >> 1]);
      process.exit();
    });`;
  const { stdout } = await run('ip', ['netns', 'exec', place, process.execPath, '-e', script], { timeout: 60_000 });
  return Number(stdout);
}

function pathOf<T extends KubeObject>(kind: Kind<T>, { metadata }: KubeObject): string {
  const base = kind.group === '' ? '/api/v1' : `/apis/${kind.group}/${kind.version}`;
  return `${base}/namespaces/${metadata.namespace}/${kind.resource}/${metadata.name}`;
}

function service(index: number): Service {
  const clusterIP = `10.${96 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`;
  const spec = { type: 'ClusterIP', clusterIP, clusterIPs: [clusterIP], ports: [{ port: 80, targetPort: 8080, protocol: 'TCP' }] };
  return { apiVersion: 'v1', kind: 'Service', metadata: { name: `web-${index}`, namespace: 'shop', uid: `s${index}`, ...created }, spec, status: {} };
}

function slice(index: number, endpoints: number): EndpointSlice {
  const labels = { 'kubernetes.io/service-name': `web-${index}` };
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: `web-${index}-1`, namespace: 'shop', uid: `e${index}`, labels, ...created },
    addressType: 'IPv4',
    ports: [{ name: '', port: 8080, protocol: 'TCP' }],
    endpoints: Array.from({ length: endpoints }, (_, at) => ({ addresses: [`10.244.0.${5 + at}`], conditions: { ready: true }, nodeName: 'here' })),
  };
}

async function onCluster(): Promise<Figure[]> {
  const cluster = await startClusterUnderTest();
  try {
    const { visibleMs, answeredMs } = await readiness(cluster);
    const dns = await names(cluster);
    return [
      { what: 'endpoint ready → in nftables', value: visibleMs, unit: 'ms', aim: 50, better: 'less' },
      { what: 'endpoint ready → first answer by Service', value: answeredMs, unit: 'ms', aim: 100, better: 'less' },
      { what: 'DNS answers', value: dns.perSecond, unit: '/s', aim: 10_000, better: 'more' },
      { what: 'DNS, CPU per answer', value: dns.cpuUs, unit: 'µs', better: 'less' },
    ];
  } finally {
    await cluster.close();
  }
}

/** From the moment a watcher hears that a pod is ready to its Service's rule, and to the first connection through the Service. */
async function readiness(cluster: ClusterUnderTest): Promise<{ visibleMs: number; answeredMs: number }> {
  const transport = httpTransport(connectionOf(cluster.kubeconfig));
  const client = createClient(transport);
  const informers = createInformers(client, realWorld({ level: 'silent' }));
  const monitor = spawn('nft', ['monitor'], { stdio: ['ignore', 'pipe', 'ignore'] });
  const [visible, answered]: [number[], number[]] = [[], []];
  try {
    const watched = informers.of(Pod, { namespace: 'default' });
    await watched.synced;
    for (let round = 0; round < 6; round++) {
      const name = `ready-${round}`;
      const draft = { metadata: { name }, spec: { selector: { app: name }, ports: [{ port: 80, targetPort: 8080, protocol: 'TCP' }] } };
      const ip = (await client.resource(Service).namespace('default').create(draft)).spec.clusterIP ?? '';
      const inNft = lineWith(monitor, `${ip} . tcp . 80 : goto service-`);
      const ready = new Promise<number>((resolve) => {
        const look = ({ metadata, status }: Pod): void => {
          if (metadata.name === name && status.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True'))
            resolve(performance.now());
        };
        watched.subscribe({ added: look, updated: look });
      });
      const containers = [{ name: 'main', image: 'k8ts.local/hello:1', readinessProbe: { httpGet: { port: 8080 }, periodSeconds: 1 } }];
      await client
        .resource(Pod)
        .namespace('default')
        .create({ metadata: { name, labels: { app: name } }, spec: { terminationGracePeriodSeconds: 0, containers } });
      const first = firstAnswer(ip);
      const [readyAt, nftAt, answeredAt] = await Promise.all([ready, inNft, first]);
      if (round === 0) continue;
      visible.push(Math.max(0, nftAt - readyAt));
      answered.push(Math.max(0, answeredAt - readyAt));
    }
  } finally {
    monitor.kill();
    informers.close();
    transport.close();
  }
  return { visibleMs: median(visible), answeredMs: median(answered) };
}

function lineWith(monitor: ChildProcess, text: string): Promise<number> {
  return new Promise((resolve) => {
    if (!monitor.stdout) return;
    const lines = createInterface(monitor.stdout);
    lines.on('line', (line) => {
      if (!line.includes(text)) return;
      lines.close();
      resolve(performance.now());
    });
  });
}

async function firstAnswer(ip: string): Promise<number> {
  for (;;) {
    const text = await new Promise<string>((resolve) => {
      const request = get({ host: ip, port: 80, agent: false }, (response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
        response.on('end', () => resolve(body));
      });
      request.on('error', () => resolve(''));
    });
    if (text.startsWith('hello')) return performance.now();
    await sleep(5);
  }
}

/** Questions for a Service's name over UDP, by its cluster IP, with a window of them under way. */
async function names(cluster: ClusterUnderTest): Promise<{ perSecond: number; cpuUs: number }> {
  const server = (await cluster.kubectl(['get', 'service', 'kube-dns', '-n', 'kube-system', '-o', 'jsonpath={.spec.clusterIP}'])).trim();
  const question = (id: number): Buffer =>
    encode({ type: 'query', id, flags: 0x100, questions: [{ type: 'A', name: 'kubernetes.default.svc.cluster.local' }] });
  const agent = Number(/"pid": ?(\d+)/.exec(readFileSync(join(cluster.dataDir, 'run', 'node-agent.json'), 'utf8'))?.[1]);
  const socket = createSocket({ type: 'udp4', recvBufferSize: 4 << 20 });
  const packet = question(7);
  socket.connect(53, server);
  await once(socket, 'connect');
  socket.send(packet);
  const [sample] = (await once(socket, 'message')) as [Buffer];
  if (decode(sample).answers?.length !== 1) throw new Error('the name server does not know the kubernetes Service');
  const measure = async (ms: number): Promise<{ answers: number; seconds: number; cpu: number }> => {
    let answers = 0;
    socket.on('message', () => {
      answers++;
      socket.send(packet);
    });
    const [begin, cpu] = [performance.now(), cpuSeconds(agent)];
    for (let index = 0; index < 64; index++) socket.send(packet);
    await sleep(ms);
    const result = { answers, seconds: (performance.now() - begin) / 1000, cpu: cpuSeconds(agent) - cpu };
    socket.removeAllListeners('message');
    return result;
  };
  await measure(1_000);
  await sleep(200);
  const { answers, seconds, cpu } = await measure(3_000);
  socket.close();
  return { perSecond: answers / seconds, cpuUs: (cpu / answers) * 1e6 };
}

function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}
