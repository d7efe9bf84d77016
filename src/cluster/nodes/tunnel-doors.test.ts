import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ClusterConfig } from '../config.ts';
import { tunnelDoorChain, tunnelDoorOf } from './tunnel-doors.ts';

function configOf(port: number, more: Partial<ClusterConfig> = {}): ClusterConfig {
  return {
    dataVersion: 1,
    dataDir: '/d',
    id: 'abcdef',
    port,
    bindAddress: '0.0.0.0',
    runtime: 'containerd',
    store: 'lmdb',
    controlPlaneOnly: false,
    tokenAuthFile: undefined,
    nodeName: 'host',
    nodeIp: '192.0.2.2',
    serviceCidr: '10.96.0.0/16',
    clusterCidr: '10.244.0.0/16',
    clusterDomain: 'cluster.local',
    kubeletPort: 10_250,
    dnsPort: 10_053,
    ...more,
  };
}

test('each node of each cluster on a host has a port of its own, the last one within what ports there are', () => {
  assert.deepEqual(tunnelDoorOf(configOf(6443), '192.168.128.2'), { address: '192.0.2.2', port: 33_000 });
  assert.equal(tunnelDoorOf(configOf(6443), '192.168.128.254')?.port, 33_252);
  assert.equal(tunnelDoorOf(configOf(6444), '192.168.129.2')?.port, 33_253);
  assert.equal(tunnelDoorOf(configOf(6443 + 127), '192.168.255.254')?.port, 65_383);
});

test('without a tunnel, or where nobody can come to, there is none', () => {
  for (const more of [{ podNetwork: 'host-routes' }, { podNetwork: 'none' }, { nodeIp: '127.0.0.1' }] as const) {
    assert.equal(tunnelDoorOf(configOf(6443, more), '192.168.128.2'), undefined);
    assert.equal(tunnelDoorChain(configOf(6443, more), ['192.168.128.2']), '');
  }
});

test('what comes to a port goes to the tunnel of its node', () => {
  assert.match(
    tunnelDoorChain(configOf(6443), ['192.168.128.2', '192.168.128.4']),
    /dnat to udp dport map \{ 33000 : 192\.168\.128\.2 \. 8472, 33002 : 192\.168\.128\.4 \. 8472 \}/,
  );
  assert.equal(tunnelDoorChain(configOf(6443), []), '');
});
