/**
 * The service proxy's rules in the kernel, in a network namespace of its own: what nftables says to everything a Service can ask for, and connections over
 * both families. Where the cluster under test has one family only, the other is shown here.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { EndpointSlice, Service } from '../src/api/kinds.ts';
import type { V1ServiceSpec } from '../src/api/types.ts';
import { FakeTransport } from '../src/client/fake-transport.ts';
import type { Informers } from '../src/client/informer.ts';
import { createInformers } from '../src/client/informers.ts';
import { createClient } from '../src/client/typed-client.ts';
import { Nftables } from '../src/nftables/nftables.ts';
import { type Proxy, startProxy } from '../src/proxy/proxy.ts';
import { realWorld } from '../src/world/real.ts';
import { eventually } from './support/cluster-under-test.ts';
import { lastWill } from './support/last-will.ts';
import { run } from './support/stock-tools.ts';

const place = `k8ts-rules-${process.pid}`;
const transport = new FakeTransport();
const created = { uid: 'u', resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' };
const world = realWorld({ level: 'silent' });
let informers: Informers;
let proxy: Proxy;
const will = lastWill('ip netns delete "$1"', place);

async function inside(command: string, ...words: string[]): Promise<string> {
  const { code, stdout, stderr } = await run('ip', ['netns', 'exec', place, command, ...words]);
  assert.equal(code, 0, `${command} ${words.join(' ')}: ${stderr}`);
  return stdout;
}

before(async () => {
  await run('ip', ['netns', 'add', place]);
  await inside('ip', 'link', 'set', 'lo', 'up');
  for (const address of ['10.244.0.5/32', '10.244.0.6/32', '192.0.2.1/32', 'fd00:1::5/128', 'fd00:1::6/128']) {
    await inside('ip', 'address', 'add', address, 'dev', 'lo');
  }
  await inside('ip', 'route', 'add', 'default', 'dev', 'lo');
  await inside('ip', '-6', 'route', 'add', 'default', 'dev', 'lo');
  informers = createInformers(createClient(transport), world);
  const clusterCidr = '10.244.0.0/16,fd00:1::/48';
  proxy = startProxy({
    world,
    informers,
    table: 'services',
    nodeName: 'here',
    clusterCidr,
    nftables: new Nftables(['nsenter', `--net=/run/netns/${place}`, 'nft']),
    forget: () => Promise.resolve(),
    list: () => Promise.resolve([]),
  });
  await proxy.ready;
});

after(async () => {
  await proxy.close();
  informers.close();
  await run('ip', ['netns', 'delete', place]);
  will.withdraw();
});

function setService(name: string, spec: V1ServiceSpec, ...ingress: string[]): void {
  const service: Service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: 'shop', ...created },
    spec,
    status: { loadBalancer: { ingress: ingress.map((ip) => ({ ip })) } },
  };
  transport.set(`/api/v1/namespaces/shop/services/${name}`, service);
}

function setSlice(service: string, addressType: string, addresses: readonly string[], protocol = 'TCP'): void {
  const slice: EndpointSlice = {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: `${service}-${addressType.toLowerCase()}`, namespace: 'shop', labels: { 'kubernetes.io/service-name': service }, ...created },
    addressType,
    ports: [{ name: '', port: 8080, protocol }],
    endpoints: addresses.map((address) => ({ addresses: [address], conditions: { ready: true }, nodeName: 'here' })),
  };
  transport.set(`/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices/${slice.metadata.name}`, slice);
}

/** Until the proxy's tables hold this; both families' as text. */
function rules(text: RegExp): Promise<string> {
  return eventually(`rules with ${text}`, async () => {
    const listed = await inside('nft', 'list', 'ruleset');
    return text.test(listed) ? listed : undefined;
  });
}

/** What the servers behind a Service say, one word for each connection. */
async function connections(urls: readonly string[]): Promise<string[]> {
  const script = `
    const { createServer, get } = require('node:http');
    const addresses = ['10.244.0.5', '10.244.0.6', 'fd00:1::5', 'fd00:1::6'];
    const listening = addresses.map((address) => new Promise((resolve) => createServer((request, response) => response.end(address)).listen(8080, address, resolve)));
    const ask = (url) => new Promise((resolve) => {
      const request = get(url, { agent: false, timeout: 2000 }, (response) => response.on('data', (text) => resolve(String(text))));
      request.on('timeout', () => request.destroy());
      request.on('error', (error) => resolve(error.code ?? error.message));
    });
    Promise.all(listening).then(() => Promise.all(${JSON.stringify(urls)}.map(ask))).then((answers) => { console.log(JSON.stringify(answers)); process.exit(); });`;
  return JSON.parse(await inside(process.execPath, '-e', script)) as string[];
}

const ports = [{ port: 80, protocol: 'TCP', nodePort: 30080 }];

test('a Service of both families is reached by each of its addresses, and there is no IPv6 table before', async () => {
  assert.doesNotMatch(await inside('nft', 'list', 'tables'), /ip6/);
  setService('both', { type: 'NodePort', clusterIP: '10.96.0.7', clusterIPs: ['10.96.0.7', 'fd00::7'], ipFamilies: ['IPv4', 'IPv6'], ports });
  setSlice('both', 'IPv4', ['10.244.0.5']);
  setSlice('both', 'IPv6', ['fd00:1::5']);
  await rules(/fd00::7 \. tcp \. 80 : goto service-/);
  await rules(/10\.96\.0\.7 \. tcp \. 80 : goto service-/);
  const urls = ['http://10.96.0.7/', 'http://[fd00::7]/', 'http://192.0.2.1:30080/', 'http://[fd00:1::6]:30080/'];
  assert.deepEqual(await connections(urls), ['10.244.0.5', 'fd00:1::5', '10.244.0.5', 'fd00:1::5']);
});

test('a Service of IPv6 alone spreads over its endpoints, and without them refuses', async () => {
  setService('six', {
    type: 'ClusterIP',
    clusterIP: 'fd00::8',
    clusterIPs: ['fd00::8'],
    ipFamilies: ['IPv6'],
    ports: [{ port: 80, protocol: 'TCP' }],
  });
  await rules(/fd00::8 \. tcp \. 80 : goto refuse/);
  assert.deepEqual(await connections(['http://[fd00::8]/']), ['ECONNREFUSED']);
  setSlice('six', 'IPv6', ['fd00:1::5', 'fd00:1::6']);
  await rules(/fd00::8 \. tcp \. 80 : goto service-/);
  const answers = await connections(Array.from({ length: 24 }, () => 'http://[fd00::8]/'));
  assert.deepEqual([...new Set(answers)].sort(), ['fd00:1::5', 'fd00:1::6']);
});

test('affinity, source ranges, Local and SCTP are rules that nftables takes, in both families, and takes away again', async () => {
  const spec: V1ServiceSpec = {
    type: 'LoadBalancer',
    clusterIP: '10.96.0.9',
    clusterIPs: ['10.96.0.9', 'fd00::9'],
    ipFamilies: ['IPv4', 'IPv6'],
    externalTrafficPolicy: 'Local',
    sessionAffinity: 'ClientIP',
    sessionAffinityConfig: { clientIP: { timeoutSeconds: 60 } },
    loadBalancerSourceRanges: ['192.0.2.0/24', 'fd00:1::/64'],
    externalIPs: ['203.0.113.5'],
    ports: [{ port: 132, protocol: 'SCTP', nodePort: 30132 }],
  };
  setService('all', spec, '198.51.100.9', 'fd00:5::9');
  setSlice('all', 'IPv4', ['10.244.0.5', '10.244.0.6'], 'SCTP');
  setSlice('all', 'IPv6', ['fd00:1::5', 'fd00:1::6'], 'SCTP');
  const listed = await rules(/fd00:5::9 \. sctp \. 132 : goto guard-/);
  await rules(/update @clients-\S+ { ip6 saddr }/);
  assert.match(listed, /198\.51\.100\.9 \. sctp \. 132 : goto guard-/);
  setService('all', { ...spec, sessionAffinityConfig: { clientIP: { timeoutSeconds: 90 } } }, '198.51.100.9', 'fd00:5::9');
  await rules(/timeout 1m30s/);
  transport.delete('/api/v1/namespaces/shop/services/all');
  await eventually('nothing is left of it', async () => ((await inside('nft', 'list', 'ruleset')).includes('. sctp .') ? undefined : true));
  assert.equal(proxy.metrics.failures, 0);
});

test('who changes the table finds it as it should be after the next change', async () => {
  await inside('nft', 'delete', 'table', 'ip', 'services');
  setService('late', { type: 'ClusterIP', clusterIP: '10.96.0.10', clusterIPs: ['10.96.0.10'], ports: [{ port: 80, protocol: 'TCP' }] });
  setSlice('late', 'IPv4', ['10.244.0.6']);
  const listed = await rules(/10\.96\.0\.10 \. tcp \. 80 : goto service-/);
  assert.match(listed, /10\.96\.0\.7 \. tcp \. 80 : goto service-/);
  assert.deepEqual(await connections(['http://10.96.0.7/', 'http://10.96.0.10/']), ['10.244.0.5', '10.244.0.6']);
});
