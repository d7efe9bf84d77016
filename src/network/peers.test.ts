import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Node } from '../api/kinds.ts';
import { changes } from './node-routes.ts';
import { annotationsOf, type Peer, planPeers, type PodNetworkMode, deviceMac } from './peers.ts';

interface Wanted {
  readonly name: string;
  readonly podCIDR?: string;
  readonly podCIDRs?: readonly string[];
  readonly ip: string;
  readonly more?: readonly string[];
  readonly silent?: boolean;
}

function nodeOf({ name, podCIDR, podCIDRs, ip, more = [], silent = false }: Wanted): Node {
  const annotations = silent ? {} : annotationsOf({ mac: deviceMac(name, 'abcdef'), vni: 1, addresses: [ip, ...more] });
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, uid: name, resourceVersion: '1', creationTimestamp: '', annotations },
    spec: { ...(podCIDR !== undefined && { podCIDR }), ...(podCIDRs !== undefined && { podCIDRs: [...podCIDRs] }) },
    status: { addresses: [{ type: 'InternalIP', address: ip }] },
  };
}

const plan = (nodes: readonly Wanted[], mode: PodNetworkMode = 'auto', links = ['10.0.0.1/24']): readonly Peer[] =>
  planPeers({ nodeName: 'self', links, mode, v6: true }, nodes.map(nodeOf));

const self: Wanted = { name: 'self', ip: '10.0.0.1', podCIDR: '10.244.0.0/24' };
const near: Wanted = { name: 'near', ip: '10.0.0.2', podCIDR: '10.244.1.0/24' };
const far: Wanted = { name: 'far', ip: '10.9.0.2', podCIDR: '10.244.2.0/24' };
const direct: Peer = { kind: 'direct', podCidr: '10.244.1.0/24', gateway: '10.0.0.2' };
const tunnel: Peer = { kind: 'vxlan', podCidr: '10.244.2.0/24', publicIp: '10.9.0.2', gateway: '10.244.2.0', mac: deviceMac('far', 'abcdef') };

test('a node on the same link is reached over it, another through the tunnel', () => {
  assert.deepEqual(plan([self, near, far]), [direct, tunnel]);
});

test('alone there is no way to lay', () => {
  assert.deepEqual(plan([self]), []);
});

test('vxlan takes the tunnel everywhere, host-routes nowhere, none nothing', () => {
  assert.deepEqual(
    plan([near, far], 'vxlan').map(({ kind }) => kind),
    ['vxlan', 'vxlan'],
  );
  assert.deepEqual(plan([near, far], 'host-routes'), [direct]);
  assert.deepEqual(plan([near, far], 'none'), []);
});

test('a node without a range, or that has not said where its tunnel ends, waits', () => {
  assert.deepEqual(
    plan([
      { name: 'new', ip: '10.0.0.3' },
      { ...far, silent: true },
    ]),
    [],
  );
});

test('a node on the link needs to say nothing', () => {
  assert.deepEqual(plan([{ ...near, silent: true }]), [direct]);
});

test('of several addresses the one on a link is taken: the host itself, seen from its namespaces', () => {
  const host: Wanted = { name: 'host', ip: '192.0.2.2', more: ['10.0.0.254'], podCIDR: '10.244.3.0/24' };
  assert.deepEqual(plan([host]), [{ kind: 'direct', podCidr: '10.244.3.0/24', gateway: '10.0.0.254' }]);
});

test("one's own address on a link is no way to another", () => {
  assert.equal(plan([{ ...far, ip: '10.0.0.1' }])[0]?.kind, 'vxlan');
});

test('a node on its way out is left out', () => {
  const leaving = nodeOf(near);
  leaving.metadata.deletionTimestamp = '2026-01-01T00:00:00Z';
  assert.deepEqual(planPeers({ nodeName: 'self', links: ['10.0.0.1/24'], mode: 'auto', v6: false }, [leaving]), []);
});

test("others' words about the tunnel are not believed blindly", () => {
  for (const data of ['', 'no json', '{}', '{"VtepMAC":"; reboot"}', '{"VtepMAC":7}']) {
    const odd = nodeOf(far);
    odd.metadata.annotations = { ...odd.metadata.annotations, 'flannel.alpha.coreos.com/backend-data': data };
    assert.deepEqual(planPeers({ nodeName: 'self', links: [], mode: 'auto', v6: false }, [odd]), [], data);
  }
});

test('MAC addresses are local, unicast, and differ between nodes and clusters', () => {
  const macs = [deviceMac('a', '1'), deviceMac('b', '1'), deviceMac('a', '2')];
  assert.equal(new Set(macs).size, 3);
  for (const mac of macs) assert.match(mac, /^0a(:[0-9a-f]{2}){5}$/);
  assert.equal(deviceMac('a', '1'), macs[0]);
});

test('what stays is not touched; what comes is written, and what goes is taken away', () => {
  assert.deepEqual(changes([direct], [direct], 'vx'), { gone: [], goneEntries: [], entries: [], come: [] });
  assert.deepEqual(changes([direct], [direct, tunnel], 'vx'), {
    gone: [],
    goneEntries: [],
    entries: [`fdb replace ${tunnel.mac} dev vx dst 10.9.0.2 self permanent`],
    come: [
      `neigh replace 10.244.2.0 lladdr ${tunnel.mac} dev vx nud permanent`,
      'route replace 10.244.2.0/24 via 10.244.2.0 dev vx onlink proto 142',
    ],
  });
  assert.deepEqual(changes([direct, tunnel], [], 'vx'), {
    gone: ['route delete 10.244.1.0/24 proto 142', 'route delete 10.244.2.0/24 proto 142', 'neigh delete 10.244.2.0 dev vx'],
    goneEntries: [`fdb delete ${tunnel.mac} dev vx self`],
    entries: [],
    come: [],
  });
});

test('a node with ranges of both families has a way for each: over the link where it has an address of that family, through one tunnel elsewhere', () => {
  const both = ['10.244.1.0/24', 'fd00:1:0:101::/64'];
  const links = ['10.0.0.1/24', 'fd00:2::1/64'];
  const onLink: Wanted = { ...near, more: ['fd00:2::2'], podCIDRs: both };
  assert.deepEqual(plan([onLink], 'auto', links), [direct, { kind: 'direct', podCidr: 'fd00:1:0:101::/64', gateway: 'fd00:2::2' }]);
  const mac = deviceMac('near', 'abcdef');
  const through: Peer = { kind: 'vxlan', podCidr: 'fd00:1:0:101::/64', publicIp: '10.0.0.2', gateway: 'fd00:1:0:101::', mac };
  assert.deepEqual(plan([{ ...onLink, more: [] }], 'auto', links), [direct, through]);
  assert.deepEqual(plan([{ ...onLink, more: [] }], 'host-routes', links), [direct]);
  const { entries, come } = changes([], plan([onLink], 'vxlan', links), 'vx');
  assert.deepEqual(entries, [`fdb replace ${mac} dev vx dst 10.0.0.2 self permanent`]);
  assert.deepEqual(come, [
    `neigh replace 10.244.1.0 lladdr ${mac} dev vx nud permanent`,
    'route replace 10.244.1.0/24 via 10.244.1.0 dev vx onlink proto 142',
    `neigh replace fd00:1:0:101:: lladdr ${mac} dev vx nud permanent`,
    'route replace fd00:1:0:101::/64 via fd00:1:0:101:: dev vx onlink proto 142',
  ]);
});

test('a node behind another machine is reached at a port of that, but over its link where one is on it', () => {
  const node = nodeOf(far);
  const door = { address: '192.0.2.2', port: 33_001 };
  node.metadata.annotations = annotationsOf({ mac: deviceMac('far', 'abcdef'), vni: 1, addresses: [far.ip], door });
  const ways = (mode: PodNetworkMode, links: readonly string[]): readonly Peer[] => planPeers({ nodeName: 'self', links, mode, v6: false }, [node]);
  assert.deepEqual(ways('auto', ['10.0.0.1/24']), [{ ...tunnel, publicIp: '192.0.2.2', port: 33_001 }]);
  assert.deepEqual(ways('vxlan', ['10.9.0.1/24']), [tunnel]);
  assert.deepEqual(changes([], ways('vxlan', []), 'vx').entries, [`fdb replace ${tunnel.mac} dev vx dst 192.0.2.2 port 33001 self permanent`]);
  for (const odd of ['', '192.0.2.2', 'host:1', '192.0.2.2:0', '192.0.2.2:65536', '192.0.2.300:1', '192.0.2.2:1; reboot']) {
    node.metadata.annotations['network.k8ts.io/tunnel-door'] = odd;
    assert.deepEqual(ways('auto', []), [tunnel], odd);
  }
});

test('a node without IPv6 lays no way to the IPv6 ranges of others', () => {
  const node = nodeOf({ ...near, podCIDRs: ['10.244.1.0/24', 'fd00:1:0:101::/64'] });
  assert.deepEqual(planPeers({ nodeName: 'self', links: ['10.0.0.1/24'], mode: 'auto', v6: false }, [node]), [direct]);
});

test('a node that moved: its range is never without a route', () => {
  const moved: Peer = { ...tunnel, publicIp: '10.9.0.7' };
  const { gone, goneEntries, entries } = changes([tunnel], [moved], 'vx');
  assert.deepEqual([gone, goneEntries], [[], []]);
  assert.deepEqual(entries, [`fdb replace ${tunnel.mac} dev vx dst 10.9.0.7 self permanent`]);
  assert.deepEqual(changes([tunnel], [{ ...direct, podCidr: tunnel.podCidr }], 'vx').gone, ['neigh delete 10.244.2.0 dev vx']);
});
