import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kubernetesService } from './kubernetes-service.ts';

test('the Service has the first address of the range, its endpoints say where the server is', () => {
  const { service, endpoints, slice } = kubernetesService('10.96.0.0/16', { address: '192.0.2.1', port: 6443 });
  assert.equal(service.spec.clusterIP, '10.96.0.1');
  assert.deepEqual(endpoints?.subsets?.[0]?.addresses, [{ ip: '192.0.2.1' }]);
  assert.deepEqual([slice?.addressType, slice?.ports?.[0]?.port], ['IPv4', 6443]);
});

test('a server that nobody else can reach has no endpoints', () => {
  for (const address of ['127.0.0.1', '::1']) {
    const { endpoints, slice } = kubernetesService('10.96.0.0/16', { address, port: 6443 });
    assert.deepEqual([endpoints, slice], [undefined, undefined]);
  }
  assert.equal(kubernetesService('10.96.0.0/16', undefined).endpoints, undefined);
});
