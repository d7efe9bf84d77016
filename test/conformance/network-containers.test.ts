/** Behaviours of the conformance catalogue marked sig-network in which packets flow or names are resolved, each named as there, on real containers of one cluster. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Service } from '../../src/api/kinds.ts';
import type { V1ServiceSpec } from '../../src/api/types.ts';
import { eventually } from '../support/cluster-under-test.ts';
import { isReady, type RealPods, shell, startRealPods } from './real-pods.ts';

const image = 'k8ts.local/hello:1';
/** Answers with its host name, over HTTP and over UDP. */
const namesItself = `
const name = require('node:os').hostname();
require('node:http').createServer((request, response) => response.end(name)).listen(8080);
const socket = require('node:dgram').createSocket('udp4');
socket.on('message', (text, from) => socket.send(name, from.port, from.address));
socket.bind(8081);`;
const server = { name: 'main', image, command: ['node', '-e', namesItself], readinessProbe: { httpGet: { port: 8080 }, periodSeconds: 1 } };

let pods: RealPods;
let nodeIp: string;

before(async () => {
  pods = await startRealPods();
  nodeIp = await pods.cluster.kubectl(['get', 'nodes', '-o', 'jsonpath={.items[0].status.addresses[?(@.type=="InternalIP")].address}']);
  const template = { metadata: { labels: { app: 'affinity' } }, spec: { terminationGracePeriodSeconds: 0, containers: [server] } };
  const controller = {
    apiVersion: 'v1',
    kind: 'ReplicationController',
    metadata: { name: 'affinity' },
    spec: { replicas: 3, selector: { app: 'affinity' }, template },
  };
  await pods.cluster.kubectl('create -f -', { input: JSON.stringify(controller) });
  await pods.create('client', { containers: [shell('sleep 10000')] });
  await pods.create('resolver', { containers: [{ name: 'main', image, command: ['node', '-e', 'setInterval(() => {}, 1e6)'] }] });
  for (const name of ['client', 'resolver']) await pods.until(name, 'is ready', isReady);
  await pods.cluster.kubectl('wait pod -l app=affinity --for=condition=Ready --timeout=60s', { timeoutMs: 70_000 });
});

after(() => pods.close());

function createService(name: string, spec: V1ServiceSpec): Promise<Service> {
  return pods.of(Service).create({ metadata: { name }, spec });
}

/** Runs JavaScript in the pod `resolver`; `resolve` looks in the search domains, as a resolver does. Answers what it returned. */
async function inResolver<T>(script: string): Promise<T> {
  const begin = `
    const dns = require('node:dns').promises;
    const search = /^search (.*)$/m.exec(require('node:fs').readFileSync('/etc/resolv.conf', 'utf8'))[1].split(' ');
    const resolve = async (name, type) => {
      for (const domain of [...search, '']) {
        try { return await dns.resolve(name + (domain && '.' + domain), type); } catch (error) { if (error.code !== 'ENOTFOUND' && error.code !== 'ENODATA') throw error; }
      }
      throw new Error(name + ' is not found');
    };
    const address = async (name) => (await dns.lookup(name, { family: 4 })).address;`;
  const whole = `${begin} (async () => { ${script} })().then((answer) => console.log(JSON.stringify(answer)), (error) => { console.error(error); process.exit(1); });`;
  return JSON.parse(await pods.cluster.kubectl(['exec', 'resolver', '--', 'node', '-e', whole])) as T;
}

const resolvesTo = (name: string, expected: readonly string[]): Promise<unknown> =>
  eventually(`${name} is ${expected.join(', ')}`, async () => {
    const found = (await inResolver<string[]>(`return resolve('${name}', 'A')`)).toSorted();
    return JSON.stringify(found) === JSON.stringify(expected.toSorted()) ? found : undefined;
  });

test('[sig-network] DNS should provide DNS for the cluster [Conformance]', async () => {
  const { spec } = await pods.of(Service).get('kubernetes');
  const names = ['kubernetes.default', 'kubernetes.default.svc', 'kubernetes.default.svc.cluster.local'];
  const found = await inResolver<string[]>(`return Promise.all(${JSON.stringify(names)}.map(address))`);
  assert.deepEqual(
    found,
    names.map(() => spec.clusterIP),
  );
});

test('[sig-network] DNS should provide /etc/hosts entries for the cluster [LinuxOnly] [Conformance]', async () => {
  await pods.create('querier', { hostname: 'dns-querier-1', subdomain: 'dns-test-service', containers: [shell('sleep 1000')] });
  await pods.until('querier', 'is ready', isReady);
  const hosts = await pods.inside('querier', 'cat /etc/hosts');
  const { status } = await pods.until('querier', 'has an address', (pod) => pod.status.podIP !== undefined);
  assert.match(hosts, new RegExp(`^${status.podIP}\\s+dns-querier-1\\.dns-test-service\\.default\\.svc\\.cluster\\.local\\s+dns-querier-1$`, 'm'));
  assert.match(hosts, /^127\.0\.0\.1\s+localhost$/m);
  assert.match(await pods.inside('querier', 'ping -c 1 dns-querier-1.dns-test-service.default.svc.cluster.local'), /1 packets received/);
});

test('[sig-network] DNS should provide DNS for services [Conformance]', async () => {
  const { status } = await pods.create('dns-backend', { containers: [server] }).then(() => pods.until('dns-backend', 'is ready', isReady));
  const ports = [{ name: 'http', port: 80, targetPort: 8080, protocol: 'TCP' }];
  await createService('dns-headless', { clusterIP: 'None', selector: { name: 'dns-backend' }, ports });
  const { spec } = await createService('dns-regular', { selector: { name: 'dns-backend' }, ports });
  assert(status.podIP !== undefined && spec.clusterIP !== undefined);
  for (const name of ['dns-headless', 'dns-headless.default', 'dns-headless.default.svc', 'dns-headless.default.svc.cluster.local']) {
    await resolvesTo(name, [status.podIP]);
  }
  await resolvesTo('dns-regular.default.svc', [spec.clusterIP]);
  const [regular] = await inResolver<{ name: string; port: number }[]>(`return resolve('_http._tcp.dns-regular.default.svc', 'SRV')`);
  assert.deepEqual([regular?.name, regular?.port], ['dns-regular.default.svc.cluster.local', 80]);
  const [headless] = await inResolver<{ name: string; port: number }[]>(`return resolve('_http._tcp.dns-headless.default.svc', 'SRV')`);
  assert.deepEqual([headless?.name, headless?.port], [`${status.podIP.replaceAll('.', '-')}.dns-headless.default.svc.cluster.local`, 8080]);
  const names = await inResolver<string[][]>(`return Promise.all(['${spec.clusterIP}', '${status.podIP}'].map((ip) => dns.reverse(ip)))`);
  assert.deepEqual(names[0], ['dns-regular.default.svc.cluster.local']);
  assert(names[1]?.includes(`${status.podIP.replaceAll('.', '-')}.dns-headless.default.svc.cluster.local`), JSON.stringify(names));
});

test('[sig-network] DNS should resolve DNS of partial qualified names for services [LinuxOnly] [Conformance]', async () => {
  const { status } = await pods.create('partial', { containers: [server] }).then(() => pods.until('partial', 'is ready', isReady));
  const ports = [{ name: 'http', port: 80, targetPort: 8080, protocol: 'TCP' }];
  await createService('partial-headless', { clusterIP: 'None', selector: { name: 'partial' }, ports });
  const { spec } = await createService('partial-regular', { selector: { name: 'partial' }, ports });
  for (const suffix of ['', '.default', '.default.svc']) {
    await resolvesTo(`partial-headless${suffix}`, [status.podIP ?? '']);
    await resolvesTo(`partial-regular${suffix}`, [spec.clusterIP ?? '']);
    assert.equal(await inResolver<string>(`return address('partial-regular${suffix}')`), spec.clusterIP);
    for (const name of ['headless', 'regular']) {
      assert.equal((await inResolver<object[]>(`return resolve('_http._tcp.partial-${name}${suffix}', 'SRV')`)).length, 1);
    }
  }
});

for (const [behaviour, prefix] of [
  ['[sig-network] DNS should provide DNS for pods for Hostname [LinuxOnly] [Conformance]', 'hostname'],
  ['[sig-network] DNS should provide DNS for pods for Subdomain [Conformance]', 'subdomain'],
] as const) {
  test(behaviour, async () => {
    const [service, name] = [`dns-${prefix}`, `pod-${prefix}`];
    await createService(service, { clusterIP: 'None', selector: { name }, ports: [{ port: 80 }] });
    await pods.create(name, { hostname: 'querier', subdomain: service, containers: [shell('sleep 1000')] });
    const { status } = await pods.until(name, 'is ready', isReady);
    for (const full of [`querier.${service}.default.svc.cluster.local`, `${service}.default.svc.cluster.local`])
      await resolvesTo(full, [status.podIP ?? '']);
    assert.match(await pods.inside(name, 'hostname -f'), new RegExp(`^querier\\.${service}\\.default\\.svc\\.cluster\\.local$`, 'm'));
    assert.match(await pods.inside(name, 'ping -c 1 querier'), /1 packets received/);
  });
}

test('[sig-network] DNS should provide DNS for ExternalName services [Conformance]', async () => {
  await createService('dns-external', { type: 'ExternalName', externalName: 'kubernetes.default.svc.cluster.local' });
  const alias = `return dns.resolve('dns-external.default.svc.cluster.local', 'CNAME')`;
  const isNow = (expected: string): Promise<unknown> =>
    eventually(`the alias is ${expected}`, async () => ((await inResolver<string[]>(alias))[0] === expected ? true : undefined));
  await isNow('kubernetes.default.svc.cluster.local');
  const kubernetes = await pods.of(Service).get('kubernetes');
  await resolvesTo('dns-external', [kubernetes.spec.clusterIP ?? '']);
  const services = pods.of(Service);
  await services.patch('dns-external', { spec: { externalName: 'bar.example.com' } });
  await isNow('bar.example.com');
  const changed = await services.patch('dns-external', { spec: { type: 'ClusterIP', externalName: null, ports: [{ port: 80, protocol: 'TCP' }] } });
  await resolvesTo('dns-external', [changed.spec.clusterIP ?? '']);
});

/** Who answered, of so many requests from the pod `client`. */
async function served(url: string, requests: number): Promise<Set<string>> {
  const output = await pods.inside('client', `for i in $(seq ${requests}); do timeout 3 wget -qO- ${url} && echo; done`);
  const names = output.split('\n').filter((line) => line !== '');
  assert.equal(names.length, requests, output);
  return new Set(names);
}

const onePod = (url: string): Promise<unknown> =>
  eventually(`${url} is always the same pod`, async () => ((await served(url, 12)).size === 1 ? true : undefined));
const manyPods = (url: string): Promise<unknown> =>
  eventually(`${url} is one pod and another`, async () => ((await served(url, 12)).size > 1 ? true : undefined));

/** Addresses of a Service over the pods of the replication controller. */
async function affine(name: string, type: string, seconds?: number): Promise<{ inside: string; asked: string }> {
  const config = seconds !== undefined && { sessionAffinityConfig: { clientIP: { timeoutSeconds: seconds } } };
  const ports = [{ port: 80, targetPort: 8080, protocol: 'TCP' }];
  const { spec } = await createService(name, { type, selector: { app: 'affinity' }, sessionAffinity: 'ClientIP', ...config, ports });
  const inside = `http://${spec.clusterIP}/`;
  return { inside, asked: type === 'NodePort' ? `http://${nodeIp}:${spec.ports?.[0]?.nodePort}/` : inside };
}

async function keepsClients(name: string, type: string): Promise<void> {
  const { inside, asked } = await affine(name, type);
  await onePod(asked);
  await onePod(inside);
  await onePod(`http://${name}/`);
}

async function switches(name: string, type: string): Promise<void> {
  const { asked } = await affine(name, type);
  await onePod(asked);
  await pods.of(Service).patch(name, { spec: { sessionAffinity: 'None', sessionAffinityConfig: null } });
  await manyPods(asked);
  await pods.of(Service).patch(name, { spec: { sessionAffinity: 'ClientIP' } });
  await onePod(asked);
}

/** Of the sets' timeouts: a client that was silent for longer is somebody new. */
async function forgets(name: string, type: string): Promise<void> {
  const { inside, asked } = await affine(name, type, 2);
  await onePod(asked);
  await onePod(inside);
  const seen = new Set<string>();
  await eventually(
    `${asked} is another pod after the timeout`,
    async () => {
      for (const who of await served(asked, 1)) seen.add(who);
      await pods.inside('client', 'sleep 3');
      return seen.size > 1 ? true : undefined;
    },
    60_000,
  );
}

test('[sig-network] Services should have session affinity work for service with type clusterIP [LinuxOnly] [Conformance]', () =>
  keepsClients('affinity-clusterip', 'ClusterIP'));

test('[sig-network] Services should have session affinity work for NodePort service [LinuxOnly] [Conformance]', () =>
  keepsClients('affinity-nodeport', 'NodePort'));

test('[sig-network] Services should be able to switch session affinity for service with type clusterIP [LinuxOnly] [Conformance]', () =>
  switches('affinity-clusterip-transition', 'ClusterIP'));

test('[sig-network] Services should be able to switch session affinity for NodePort service [LinuxOnly] [Conformance]', () =>
  switches('affinity-nodeport-transition', 'NodePort'));

test('[sig-network] Services should have session affinity timeout work for service with type clusterIP [LinuxOnly] [Conformance]', () =>
  forgets('affinity-clusterip-timeout', 'ClusterIP'));

test('[sig-network] Services should have session affinity timeout work for NodePort service [LinuxOnly] [Conformance]', () =>
  forgets('affinity-nodeport-timeout', 'NodePort'));

/** From a pod on the node's own network to each server pod. */
async function fromNode(name: string, ask: (ip: string) => string): Promise<void> {
  await pods.create(name, { hostNetwork: true, containers: [{ name: 'main', image, command: ['node', '-e', 'setInterval(() => {}, 1e6)'] }] });
  await pods.until(name, 'is ready', isReady);
  const servers = await pods.cluster.kubectl([
    'get',
    'pods',
    '-l',
    'app=affinity',
    '-o',
    'jsonpath={range .items[*]}{.metadata.name} {.status.podIP}{"\\n"}{end}',
  ]);
  const all = servers
    .trim()
    .split('\n')
    .map((line) => line.split(' '));
  assert.equal(all.length, 3);
  for (const [pod, ip = ''] of all) {
    assert.equal((await pods.cluster.kubectl(['exec', name, '--', 'node', '-e', ask(ip)])).trim(), pod);
  }
}

test('[sig-network] Networking Granular Checks: Pods should function for node-pod communication: http [LinuxOnly] [NodeConformance] [Conformance]', () =>
  fromNode('host-http', (ip) => `fetch('http://${ip}:8080/').then((response) => response.text()).then(console.log)`));

test('[sig-network] Networking Granular Checks: Pods should function for node-pod communication: udp [LinuxOnly] [NodeConformance] [Conformance]', () =>
  fromNode(
    'host-udp',
    (ip) =>
      `const s = require('node:dgram').createSocket('udp4'); const ask = () => s.send('?', 8081, '${ip}'); s.on('message', (text) => { console.log(String(text)); process.exit(); }); ask(); setInterval(ask, 500)`,
  ));

test('[sig-network] Proxy version v1 should proxy through a service and a pod [Conformance]', async () => {
  await pods.create('proxied', { containers: [{ ...server, ports: [{ name: 'web', containerPort: 8080 }] }] });
  await pods.until('proxied', 'is ready', isReady);
  const ports = [
    { name: 'portname1', port: 80, targetPort: 'web', protocol: 'TCP' },
    { name: 'portname2', port: 81, targetPort: 8080, protocol: 'TCP' },
  ];
  await createService('proxy-service', { selector: { name: 'proxied' }, ports });
  const base = '/api/v1/namespaces/default';
  for (const path of [
    'services/proxy-service:portname1',
    'services/http:proxy-service:portname2',
    'services/proxy-service:80',
    'pods/proxied:8080',
    'pods/http:proxied:8080',
  ]) {
    const answer = await eventually(path, async () => pods.cluster.kubectl(['get', '--raw', `${base}/${path}/proxy/`]));
    assert.equal(answer, 'proxied', path);
  }
});
