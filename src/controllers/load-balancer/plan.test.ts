import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Node, Service } from '../../api/kinds.ts';
import { type BalancerPlan, type Holder, planAddresses } from './plan.ts';
import { AddressPool } from './pool.ts';

const created = '2026-01-01T00:00:00Z';

function service(name: string, ports: readonly number[] = [80], spec: Partial<Service['spec']> = {}, addresses: readonly string[] = []): Service {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: 'default', uid: name, resourceVersion: '1', creationTimestamp: created },
    spec: { type: 'LoadBalancer', ports: ports.map((port) => ({ port, protocol: 'TCP' })), ...spec },
    status: { loadBalancer: { ingress: addresses.map((ip) => ({ ip })) } },
  };
}

function node(name: string, addresses: Node['status']['addresses'], labels: Record<string, string> = {}): Node {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, uid: name, resourceVersion: '1', creationTimestamp: created, labels },
    spec: {},
    status: { addresses: addresses ?? [] },
  };
}

const nodes = [node('b', [{ type: 'InternalIP', address: '10.0.0.2' }]), node('a', [{ type: 'InternalIP', address: '10.0.0.1' }])];

function held(holder: Service, ...addresses: string[]): Holder {
  return { service: holder, addresses };
}

function plan(wanted: Service, options: { pool?: string[]; others?: Holder[]; nodes?: Node[]; ownPorts?: string[] } = {}): BalancerPlan {
  return planAddresses({
    service: wanted,
    others: options.others ?? [],
    nodes: options.nodes ?? nodes,
    pool: new AddressPool(options.pool ?? []),
    ownPorts: new Set(options.ownPorts),
  });
}

describe('a load balancer without a pool', () => {
  it('is all nodes, by name', () => assert.deepEqual(plan(service('web')), { addresses: ['10.0.0.1', '10.0.0.2'] }));

  it('shares them with Services on other ports', () => {
    assert.deepEqual(plan(service('web', [443]), { others: [held(service('old'), '10.0.0.1', '10.0.0.2')] }), {
      addresses: ['10.0.0.1', '10.0.0.2'],
    });
  });

  it('waits for a port that an older Service has, and says whose it is', () => {
    const answer = plan(service('web', [443, 80]), { others: [held(service('old'), '10.0.0.1', '10.0.0.2')] });
    assert.deepEqual(answer, { addresses: undefined, why: 'port 80/TCP of 10.0.0.1 belongs to Service default/old' });
  });

  it('leaves the ports of the cluster itself alone', () => {
    const answer = plan(service('web', [6443]), { ownPorts: ['10.0.0.1:6443/TCP'] });
    assert.deepEqual(answer, { addresses: ['10.0.0.2'] });
  });

  it('prefers external addresses and leaves out nodes that ask for it', () => {
    const some = [
      node('a', [
        { type: 'InternalIP', address: '10.0.0.1' },
        { type: 'ExternalIP', address: '203.0.113.1' },
      ]),
      node('b', [{ type: 'InternalIP', address: '10.0.0.2' }], { 'node.kubernetes.io/exclude-from-external-load-balancers': '' }),
    ];
    assert.deepEqual(plan(service('web'), { nodes: some }), { addresses: ['203.0.113.1'] });
  });

  it('waits for a node of the right family', () => {
    assert.deepEqual(plan(service('web', [80], { ipFamilies: ['IPv6'] })), { addresses: undefined, why: 'no node has an address for it' });
  });
});

describe('a load balancer with a pool', () => {
  const cases: readonly [string, Service, { pool: string[]; others?: Holder[] }, BalancerPlan][] = [
    [
      'takes the first free address',
      service('web'),
      { pool: ['192.0.2.0/29'], others: [held(service('old'), '192.0.2.1')] },
      { addresses: ['192.0.2.2'] },
    ],
    ['keeps its address', service('web', [80], {}, ['192.0.2.5']), { pool: ['192.0.2.0/29'] }, { addresses: ['192.0.2.5'] }],
    ['gives up an address that left the pool', service('web', [80], {}, ['198.51.100.1']), { pool: ['192.0.2.9'] }, { addresses: ['192.0.2.9'] }],
    [
      'gets the address it asks for',
      service('web', [80], { loadBalancerIP: '192.0.2.3' }),
      { pool: ['192.0.2.1-192.0.2.4'] },
      { addresses: ['192.0.2.3'] },
    ],
    [
      'does not get one outside the pool',
      service('web', [80], { loadBalancerIP: '192.0.2.9' }),
      { pool: ['192.0.2.1-192.0.2.4'] },
      { addresses: undefined, why: 'the requested address 192.0.2.9 is not in the pool' },
    ],
    [
      'says that the pool is used up',
      service('web'),
      { pool: ['192.0.2.1'], others: [held(service('old'), '192.0.2.1')] },
      { addresses: undefined, why: 'no IPv4 address of the pool is free' },
    ],
    [
      'gets one address of each family',
      service('web', [80], { ipFamilies: ['IPv4', 'IPv6'] }),
      { pool: ['192.0.2.1', '2001:db8::10-2001:db8::20'] },
      { addresses: ['192.0.2.1', '2001:db8::10'] },
    ],
  ];
  for (const [name, wanted, options, expected] of cases) it(name, () => assert.deepEqual(plan(wanted, options), expected));

  for (const bad of ['nonsense', '192.0.2.9-192.0.2.1', '192.0.2.1-2001:db8::1', '192.0.2.0/33']) {
    it(`refuses ${bad}`, () => assert.throws(() => new AddressPool([bad])));
  }
});
