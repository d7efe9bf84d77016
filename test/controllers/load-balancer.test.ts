import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { Node, Service } from '../../src/api/kinds.ts';
import type { Draft } from '../../src/machinery/object.ts';
import { type ControlPlane, notFound, startControlPlane } from './control-plane.ts';

function service(name: string, spec: Partial<Service['spec']> = {}): Draft<Service> {
  return { metadata: { name, namespace: 'default' }, spec: { type: 'LoadBalancer', ports: [{ port: 80 }], selector: { app: name }, ...spec } };
}

describe('a Service of type LoadBalancer', () => {
  let plane: ControlPlane;
  afterEach(() => plane.close());

  async function start(pool: readonly string[] = []): Promise<void> {
    plane = await startControlPlane({ options: { loadBalancerPool: pool } });
    await plane.create(Node, { metadata: { name: 'n1' }, spec: {}, status: { addresses: [{ type: 'InternalIP', address: '10.0.0.1' }] } });
    await plane.settle();
  }
  const ingress = async (name: string): Promise<unknown> => (await plane.get(Service, name)).status.loadBalancer?.ingress;

  it('gets the address of the node', async () => {
    await start();
    await plane.create(Service, service('web'));
    await plane.settle();
    assert.deepEqual(await ingress('web'), [{ ip: '10.0.0.1', ipMode: 'VIP' }]);
  });

  it('gives its address to the next in need when it goes', async () => {
    await start(['192.0.2.1']);
    await plane.create(Service, service('first'));
    await plane.settle();
    await plane.create(Service, service('second'));
    await plane.settle();
    assert.equal(await ingress('second'), undefined);
    await plane.admin.resource(Service).namespace('default').delete('first');
    await plane.settle();
    assert.ok(await notFound(plane.get(Service, 'first')));
    assert.deepEqual(await ingress('second'), [{ ip: '192.0.2.1', ipMode: 'VIP' }]);
  });

  it('gives it back when its type changes', async () => {
    await start();
    await plane.create(Service, service('web'));
    await plane.settle();
    await plane.admin
      .resource(Service)
      .namespace('default')
      .patch('web', { spec: { type: 'ClusterIP' } });
    await plane.settle();
    const { metadata, status } = await plane.get(Service, 'web');
    assert.deepEqual(status.loadBalancer, {});
    assert.equal(metadata.finalizers, undefined);
  });

  it('never gives one address of a pool to two, however many ask at once', async () => {
    await start(['192.0.2.0/28']);
    await Promise.all(Array.from({ length: 10 }, (_, index) => plane.create(Service, service(`s${index}`))));
    await plane.settle();
    const addresses = (await plane.list(Service)).flatMap(({ status }) => (status.loadBalancer?.ingress ?? []).map(({ ip }) => ip));
    assert.equal(addresses.length, 10);
    assert.equal(new Set(addresses).size, 10);
  });

  it("leaves another's class alone", async () => {
    await start();
    await plane.create(Service, service('web', { loadBalancerClass: 'example.com/other' }));
    await plane.settle();
    assert.equal(await ingress('web'), undefined);
  });
});
