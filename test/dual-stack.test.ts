/**
 * A dual-stack cluster of two nodes with a tunnel between them: pods, Services, names, policies, node ports and Ingresses over IPv6 as over IPv4, packets of
 * full size, and nothing left when it is down.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { ClusterConfig } from '../src/cluster/config.ts';
import { linkGateway6 } from '../src/cluster/nodes/link-addresses.ts';
import { contains, parseCidr, parseIp, splitCidrs } from '../src/machinery/ip.ts';
import { type ClusterUnderTest, eventually, startClusterUnderTest } from './support/cluster-under-test.ts';
import { ask, assertMtu, type EchoPod, hostAndPort, inPod, startEchoPods } from './support/echo-pods.ts';
import { hostRemains } from './support/host-remains.ts';
import { run } from './support/stock-tools.ts';

const names = ['node-1', 'node-2'];
let cluster: ClusterUnderTest;
let config: ClusterConfig;
let pods: EchoPod[];
let first: EchoPod;
let second: EchoPod;

before(async () => {
  cluster = await startClusterUnderTest('--nodes', '2', '--dual-stack', '--pod-network', 'vxlan');
  config = JSON.parse(readFileSync(join(cluster.dataDir, 'cluster.json'), 'utf8')) as ClusterConfig;
});
after(() => cluster?.close());

interface NodeFacts {
  readonly podCIDRs: readonly string[];
  readonly addresses: readonly string[];
}

async function nodeFacts(name: string): Promise<NodeFacts> {
  const { spec, status } = JSON.parse(await cluster.kubectl(['get', 'node', name, '-o', 'json'])) as {
    spec: { podCIDRs: string[] };
    status: { addresses: { type: string; address: string }[] };
  };
  return { podCIDRs: spec.podCIDRs, addresses: status.addresses.filter(({ type }) => type === 'InternalIP').map(({ address }) => address) };
}

const familyOf = (address: string): 4 | 6 => parseIp(address).family;
const apply = (object: object): Promise<string> => cluster.kubectl('apply -f -', { input: JSON.stringify(object) });

test('the way out over IPv6 is open before there is a pod', async () => {
  for (const name of names) {
    const { stdout } = await run('ip', [
      '-netns',
      `k8ts-${config.id}-${name}`,
      '-6',
      'address',
      'show',
      'dev',
      `k8ts${config.id}`,
      'scope',
      'global',
    ]);
    assert.match(stdout, / inet6 fd[0-9a-f:]+:10[01]::1\/64 /);
    assert.doesNotMatch(stdout, /tentative|dadfailed/);
  }
});

test('nodes have addresses, ranges and pods of both families, and pods are told so', async () => {
  pods = await startEchoPods(cluster, names);
  const [one, two] = pods;
  assert.ok(one && two);
  [first, second] = [one, two];
  for (const { name, node, ips } of pods) {
    const { podCIDRs, addresses } = await nodeFacts(node);
    assert.deepEqual(addresses.map(familyOf), [4, 6], node);
    assert.deepEqual(ips.map(familyOf), [4, 6], name);
    ips.forEach((ip, index) => assert.ok(contains(parseCidr(podCIDRs[index] ?? ''), parseIp(ip)), `${ip} of ${podCIDRs.join()}`));
    podCIDRs.forEach((range, index) =>
      assert.ok(contains(parseCidr(splitCidrs(config.clusterCidr)[index] ?? ''), parseCidr(range).address), `${range} of ${config.clusterCidr}`),
    );
  }
  assert.notDeepEqual((await nodeFacts('node-1')).podCIDRs, (await nodeFacts('node-2')).podCIDRs);
  const { addresses } = await nodeFacts(first.node);
  const told = await inPod(
    cluster,
    first,
    `console.log(process.env.POD_IPS + ' ' + process.env.HOST_IPS + require('node:fs').readFileSync('/etc/hosts'))`,
  );
  assert.ok(told.startsWith(`${first.ips.join()} ${addresses.join()}#`), told);
  for (const ip of first.ips) assert.match(told, new RegExp(`^${ip}\\t${first.name}$`, 'm'));
});

test('a pod reaches a pod of the other node as itself, through the tunnel, over either family', async () => {
  for (const [index, ip] of second.ips.entries())
    assert.deepEqual(await ask(cluster, first, hostAndPort(ip)), { pod: second.name, from: first.ips[index] }, ip);
  const { stdout } = await run('ip', ['-netns', `k8ts-${config.id}-node-1`, '-6', 'route', 'get', second.ips[1] ?? '']);
  assert.match(stdout, new RegExp(` dev k8tsv${config.id} `));
});

test('packets of full size pass the tunnel whole: 1450 bytes, and no more', async () => {
  await assertMtu(
    cluster,
    pods,
    1450,
    names.map((name) => `k8ts-${config.id}-${name}`),
  );
});

test('the world is reached with the node’s address of the family', async () => {
  const world = createServer((request, response) => response.end(JSON.stringify({ pod: '', from: request.socket.remoteAddress })));
  world.listen(0, '::');
  await once(world, 'listening');
  try {
    const { addresses } = await nodeFacts(first.node);
    const { port } = world.address() as AddressInfo;
    const answer = await ask(cluster, first, hostAndPort(linkGateway6(config.linkCidr6 ?? ''), port));
    assert.equal(answer?.from, addresses[1]);
  } finally {
    world.close();
  }
});

interface ServiceFacts {
  readonly clusterIPs: readonly string[];
  readonly ipFamilies: readonly string[];
  readonly ports: readonly { nodePort?: number }[];
}

async function makeService(name: string, spec: object): Promise<ServiceFacts> {
  await apply({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name },
    spec: { selector: { app: 'echo' }, ports: [{ name: 'http', port: 80, targetPort: 8080 }], ...spec },
  });
  return (JSON.parse(await cluster.kubectl(['get', 'service', name, '-o', 'json'])) as { spec: ServiceFacts }).spec;
}

test('a Service of both families answers on both its addresses, and has its names in both', async () => {
  const { clusterIPs, ports } = await makeService('both', { ipFamilyPolicy: 'RequireDualStack', type: 'NodePort' });
  assert.deepEqual(clusterIPs.map(familyOf), [4, 6]);
  const slices = await cluster.kubectl('get endpointslices -l kubernetes.io/service-name=both -o jsonpath={.items[*].addressType}');
  assert.deepEqual(slices.split(' ').toSorted(), ['IPv4', 'IPv6']);
  for (const ip of clusterIPs) {
    const seen = new Set<string>();
    await eventually(
      `both pods behind ${ip}`,
      async () => seen.add((await ask(cluster, first, hostAndPort(ip, 80)))?.pod ?? '').has(second.name) || undefined,
    );
    await eventually(`itself, too`, async () => seen.add((await ask(cluster, first, hostAndPort(ip, 80)))?.pod ?? '').has(first.name) || undefined);
  }
  const script = `const dns = require('node:dns').promises, name = 'both.default.svc.${config.clusterDomain}';
    Promise.all([dns.resolve4(name), dns.resolve6(name), dns.reverse('${clusterIPs[1]}')]).then((all) => console.log(all.flat().join(' ')))`;
  assert.equal(await inPod(cluster, first, script), [...clusterIPs, `both.default.svc.${config.clusterDomain}`].join(' '));
  for (const name of names) {
    for (const address of (await nodeFacts(name)).addresses) {
      const { stdout } = await run('curl', ['-sg', '--max-time', '5', `http://${hostAndPort(address, ports[0]?.nodePort)}/`]);
      assert.match(stdout, /"pod":"echo-node-\d"/, `the node port on ${address}`);
    }
  }
});

test('a headless Service has records of both families, one of IPv6 alone only that', async () => {
  await makeService('headless', { clusterIP: 'None', ipFamilyPolicy: 'PreferDualStack' });
  const { clusterIPs, ipFamilies } = await makeService('six', { ipFamilies: ['IPv6'] });
  assert.deepEqual([clusterIPs.map(familyOf), ipFamilies], [[6], ['IPv6']]);
  const script = `const dns = require('node:dns').promises, all = [4, 6].map((family) => ['headless', 'six'].map((name) => dns['resolve' + family](name + '.default.svc.${config.clusterDomain}').catch(() => [])));
    Promise.all(all.flat()).then((found) => console.log(JSON.stringify(found.map((list) => list.toSorted()))))`;
  const wanted = [pods.map(({ ips }) => ips[0] ?? '').toSorted(), [], pods.map(({ ips }) => ips[1] ?? '').toSorted(), clusterIPs];
  await eventually('the names are there', async () => (assert.deepEqual(JSON.parse(await inPod(cluster, first, script)), wanted), true));
  assert.match((await ask(cluster, first, hostAndPort(clusterIPs[0] ?? '', 80)))?.pod ?? '', /^echo-/);
});

test('a policy holds for both families, and may open one', async () => {
  const policy = (name: string, ingress: readonly object[]): Promise<string> =>
    apply({
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata: { name },
      spec: { podSelector: {}, policyTypes: ['Ingress'], ingress },
    });
  const [ip4 = '', ip6 = ''] = second.ips;
  await policy('closed', []);
  for (const ip of [ip4, ip6])
    await eventually(`${ip} is closed`, async () => ((await ask(cluster, first, hostAndPort(ip))) === undefined ? true : undefined));
  await policy('open', [{ from: [{ ipBlock: { cidr: `${first.ips[1]}/128` } }] }]);
  await eventually('open over IPv6', async () => ask(cluster, first, hostAndPort(ip6)));
  assert.equal(await ask(cluster, first, hostAndPort(ip4)), undefined, 'not over IPv4');
  await cluster.kubectl('delete networkpolicy closed open');
  await eventually('open', async () => ask(cluster, first, hostAndPort(ip4)));
});

test('an Ingress is served at each node’s addresses, and says so', async () => {
  await cluster.kubectl(['create', 'ingress', 'echo', '--rule=echo.example.com/*=both:80']);
  const { addresses } = await nodeFacts('node-1');
  for (const address of addresses) {
    await eventually(`served at ${address}`, async () => {
      const { stdout } = await run('curl', ['-sg', '--max-time', '5', '-H', 'Host: echo.example.com', `http://${hostAndPort(address, 80)}/`]);
      return stdout.includes('"pod":"echo-') ? true : undefined;
    });
  }
  await eventually('the status', async () => {
    const text = await cluster.kubectl('get ingress echo -o jsonpath={.status.loadBalancer.ingress[*].ip}');
    return addresses.every((address) => text.split(' ').includes(address)) ? true : undefined;
  });
});

test('down leaves nothing behind', async () => {
  const { code, stdout, stderr } = await cluster.k8ts(['down', '--data-dir', cluster.dataDir], { timeoutMs: 90_000 });
  assert.equal(code, 0, stdout + stderr);
  assert.deepEqual(await hostRemains(config.id, cluster.dataDir), []);
  const ours = splitCidrs(config.linkCidr6 ?? '')
    .concat(splitCidrs(config.clusterCidr))
    .map((range) => range.split('/')[0]?.replace(/(::|\.0\.0)$/, '') ?? '');
  const { stdout: routes } = await run('sh', ['-c', 'ip route; ip -6 route; ip -brief address']);
  assert.deepEqual(
    routes.split('\n').filter((line) => ours.some((prefix) => line.includes(prefix))),
    [],
  );
});
