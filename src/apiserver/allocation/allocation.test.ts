import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { Fixture, type Reply } from '../verbs/fixture.ts';

const services = '/api/v1/namespaces/a/services';
const port = { port: 80 };

let server: Fixture;
beforeEach(async () => {
  server = await Fixture.open({ serviceCidr: '10.96.0.0/28', nodePorts: { from: 30000, to: 30009 } });
});
afterEach(() => server.close());

function make(name: string, spec: object = {}): Promise<Reply> {
  return server.post(services, { metadata: { name }, spec: { ports: [port], ...spec } });
}

test('a service gets an address of the range, and its families', async () => {
  const { body } = await make('s');
  const { clusterIP, clusterIPs, ipFamilies, ipFamilyPolicy } = body['spec'];
  assert.match(clusterIP, /^10\.96\.0\.([1-9]|1[0-4])$/);
  assert.deepEqual(clusterIPs, [clusterIP]);
  assert.deepEqual([ipFamilies, ipFamilyPolicy], [['IPv4'], 'SingleStack']);
});

test('headless and external services get none', async () => {
  const headless = (await make('h', { clusterIP: 'None', selector: { a: 'b' } })).body['spec'];
  assert.deepEqual(
    [headless.clusterIP, headless.clusterIPs, headless.ipFamilies, headless.ipFamilyPolicy],
    ['None', ['None'], ['IPv4'], 'SingleStack'],
  );
  const agnostic = (await make('g', { clusterIP: 'None' })).body['spec'];
  assert.deepEqual([agnostic.ipFamilies, agnostic.ipFamilyPolicy], [['IPv4', 'IPv6'], 'RequireDualStack']);
  const external = (await make('e', { type: 'ExternalName', externalName: 'x.example.com' })).body['spec'];
  assert.deepEqual([external.clusterIP, external.clusterIPs, external.ipFamilies], [undefined, undefined, undefined]);
});

test('concurrent creates get different addresses until none is left, and a deletion frees one', async () => {
  const replies = await Promise.all(Array.from({ length: 20 }, (_, index) => make(`s${index}`)));
  const made = replies.filter(({ code }) => code === 201);
  assert.equal(new Set(made.map(({ body }) => body['spec'].clusterIP)).size, 14);
  const refused = replies.find(({ code }) => code !== 201);
  assert.equal(refused?.code, 500);
  assert.match(refused?.body['message'], /failed to allocate a serviceIP: range is full/);
  const [gone] = made;
  await server.delete(`${services}/${gone?.body.metadata.name}`);
  assert.equal((await make('next')).body['spec'].clusterIP, gone?.body['spec'].clusterIP);
});

test('an address or port that is asked for is given once', async () => {
  assert.equal((await make('s', { clusterIP: '10.96.0.5' })).code, 201);
  const twice = await make('t', { clusterIP: '10.96.0.5' });
  assert.equal(twice.code, 422);
  assert.match(twice.body['message'], /spec.clusterIPs: Invalid value: .*failed to allocate IP 10.96.0.5: provided IP is already allocated/);
  assert.match(
    (await make('t', { clusterIP: '10.97.0.1' })).body['message'],
    /failed to allocate IP 10.97.0.1: the provided network does not match the current range/,
  );
  assert.match(
    (await make('t', { clusterIP: '10.96.0.15' })).body['message'],
    /the provided IP \(10.96.0.15\) is not in the valid range. The range of valid IPs is 10.96.0.0\/28/,
  );
  const nodePort = (number: number) => ({ type: 'NodePort', ports: [{ port: 80, nodePort: number }] });
  assert.equal((await make('n', nodePort(30001))).code, 201);
  const taken = await make('m', nodePort(30001));
  assert.equal(taken.body['message'], 'Service "m" is invalid: spec.ports[0].nodePort: Invalid value: 30001: provided port is already allocated');
  const outside = await make('m', nodePort(80));
  assert.match(outside.body['message'], /spec.ports\[0\].nodePort: Invalid value: 80: .*The range of valid ports is 30000-30009/);
});

test('what a refused or dry write took goes back', async () => {
  await make('s', { clusterIP: '10.96.0.5' });
  for (let i = 0; i < 30; i++) {
    assert.equal((await make('t', { type: 'NodePort', clusterIP: '10.96.0.5' })).code, 422);
    assert.equal((await server.post(`${services}?dryRun=All`, { metadata: { name: 't' }, spec: { type: 'NodePort', ports: [port] } })).code, 201);
    assert.equal((await make('s')).code, 409);
  }
  const rest = await Promise.all(Array.from({ length: 13 }, (_, index) => make(`r${index}`)));
  assert.ok(rest.every(({ code }) => code === 201));
});

test('the same number may serve two protocols of a service', async () => {
  const ports = [
    { name: 'tcp', port: 53, protocol: 'TCP' },
    { name: 'udp', port: 53, protocol: 'UDP' },
  ];
  const { body } = await make('dns', { type: 'NodePort', ports });
  const [tcp, udp] = body['spec'].ports;
  assert.equal(tcp.nodePort, udp.nodePort);
});

test('changing the type takes and gives back ports, and keeps the address', async () => {
  const made = await make('s', { selector: { a: 'b' } });
  const { clusterIP } = made.body['spec'];
  const opened = await server.patch(`${services}/s`, { spec: { type: 'NodePort' } });
  const { nodePort } = opened.body['spec'].ports[0];
  assert.ok(nodePort >= 30000 && nodePort <= 30009, JSON.stringify(opened.body));
  const same = await server.put(`${services}/s`, { metadata: { name: 's' }, spec: { type: 'NodePort', selector: { a: 'b' }, ports: [port] } });
  assert.deepEqual([same.body['spec'].clusterIP, same.body['spec'].ports[0].nodePort], [clusterIP, nodePort], 'what a client leaves out stays');
  const closed = await server.patch(`${services}/s`, { spec: { type: 'ClusterIP' } });
  assert.equal(closed.code, 200, JSON.stringify(closed.body));
  assert.deepEqual([closed.body['spec'].clusterIP, closed.body['spec'].ports[0].nodePort], [clusterIP, undefined]);
  assert.equal((await make('t', { type: 'NodePort', ports: [{ port: 80, nodePort }] })).code, 201, 'the port is free again');
  const external = await server.patch(`${services}/s`, { spec: { type: 'ExternalName', externalName: 'x.example.com' } });
  assert.equal(external.code, 200, JSON.stringify(external.body));
  assert.equal(external.body['spec'].clusterIP, undefined);
  assert.equal((await make('u', { clusterIP })).code, 201, 'the address is free again');
});

test('an address does not change once set', async () => {
  await make('s', { clusterIP: '10.96.0.5' });
  const { code, body } = await server.patch(`${services}/s`, { spec: { clusterIP: '10.96.0.6' } });
  assert.equal(code, 422);
  assert.match(body['message'], /spec.clusterIPs\[0\]: Invalid value: .*may not change once set/);
});

test('a load balancer with local traffic gets a health check port', async () => {
  const { body } = await make('l', { type: 'LoadBalancer', externalTrafficPolicy: 'Local' });
  assert.ok(body['spec'].healthCheckNodePort >= 30000);
  assert.notEqual(body['spec'].healthCheckNodePort, body['spec'].ports[0].nodePort);
  const without = await make('m', { type: 'LoadBalancer', allocateLoadBalancerNodePorts: false });
  assert.equal(without.body['spec'].ports[0].nodePort, undefined);
});

test('after a restart what is taken is known from the services themselves', async () => {
  await make('s', { clusterIP: '10.96.0.5', type: 'NodePort', ports: [{ port: 80, nodePort: 30001 }] });
  await server.restart();
  assert.equal((await make('t', { clusterIP: '10.96.0.5' })).code, 422);
  assert.equal((await make('t', { type: 'NodePort', ports: [{ port: 80, nodePort: 30001 }] })).code, 422);
  await server.delete(`${services}/s`);
  assert.equal((await make('t', { clusterIP: '10.96.0.5', type: 'NodePort', ports: [{ port: 80, nodePort: 30001 }] })).code, 201);
});

test('two families where the cluster has two', async () => {
  const dual = await Fixture.open({ serviceCidr: '10.96.0.0/24,fd00:1::/112' });
  const make = (name: string, spec: object) => dual.post(services, { metadata: { name }, spec: { ports: [port], ...spec } });
  const prefer = (await make('p', { ipFamilyPolicy: 'PreferDualStack' })).body['spec'];
  assert.deepEqual(prefer.ipFamilies, ['IPv4', 'IPv6']);
  assert.equal(prefer.clusterIPs.length, 2);
  assert.match(prefer.clusterIPs[1], /^fd00:1::/);
  assert.equal((await make('six', { ipFamilies: ['IPv6'] })).body['spec'].ipFamilyPolicy, 'SingleStack');
  const single = await dual.patch(`${services}/p`, { spec: { ipFamilyPolicy: 'SingleStack' } });
  assert.deepEqual(single.body['spec'].clusterIPs, [prefer.clusterIPs[0]], JSON.stringify(single.body));
  await dual.close();
  assert.match(
    (await server.post(services, { metadata: { name: 'x' }, spec: { ports: [port], ipFamilyPolicy: 'RequireDualStack' } })).body['message'],
    /this cluster is not configured for dual-stack services/,
  );
});
