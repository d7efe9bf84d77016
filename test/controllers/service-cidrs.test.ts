/** The life of a ServiceCIDR against the API server: ready, in use, extended, gone. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { IPAddress, Service, ServiceCIDR } from '../../src/api/kinds.ts';
import type { Draft } from '../../src/machinery/object.ts';
import { type ControlPlane, notFound, startControlPlane } from './control-plane.ts';

const finalizer = 'networking.k8s.io/service-cidr-finalizer';

function service(name: string, clusterIP: string): Draft<Service> {
  return { metadata: { name, namespace: 'default' }, spec: { clusterIP, ports: [{ port: 80 }] } };
}

describe('a ServiceCIDR', () => {
  let plane: ControlPlane;
  beforeEach(async () => {
    plane = await startControlPlane();
  });
  afterEach(() => plane.close());

  const ranges = () => plane.admin.resource(ServiceCIDR);
  const isGone = (name: string) => notFound(ranges().get(name));

  it('kubernetes is there from the start, ready and protected, and its first address is the server’s', async () => {
    const own = await ranges().get('kubernetes');
    assert.deepEqual(own.metadata.finalizers, [finalizer]);
    assert.deepEqual(
      own.status?.conditions?.map(({ type, status, message }) => [type, status, message]),
      [['Ready', 'True', 'Kubernetes default Service CIDR is ready']],
    );
    const { spec } = await plane.get(Service, 'kubernetes');
    assert.deepEqual((await plane.admin.resource(IPAddress).get(spec.clusterIP ?? '')).spec.parentRef, {
      resource: 'services',
      namespace: 'default',
      name: 'kubernetes',
    });
  });

  it('adds its range when it is ready, and stays until its addresses are given up', async () => {
    await assert.rejects(plane.create(Service, service('s', '10.200.0.9')), /the provided network does not match the current range/);
    await ranges().create({ metadata: { name: 'more' }, spec: { cidrs: ['10.200.0.0/24'] } });
    await plane.settle();
    await plane.create(Service, service('s', '10.200.0.9'));
    await ranges().delete('more');
    await plane.settle(30_000);
    const [condition] = (await ranges().get('more')).status?.conditions ?? [];
    assert.deepEqual([condition?.type, condition?.status, condition?.reason], ['Ready', 'False', 'Terminating']);
    await assert.rejects(plane.create(Service, service('t', '10.200.0.10')), /does not match the current range/);

    await plane.admin.resource(Service).namespace('default').delete('s');
    await plane.settle();
    await plane.until('gone', () => isGone('more'));
    assert.deepEqual(plane.complaints, []);
  });

  it('goes while its addresses are in another one', async () => {
    await ranges().create({ metadata: { name: 'more' }, spec: { cidrs: ['10.200.0.0/24'] } });
    await plane.settle();
    await plane.create(Service, service('s', '10.200.0.9'));
    await ranges().delete('more');
    await plane.settle(30_000);
    assert.equal(await isGone('more'), false);
    await ranges().create({ metadata: { name: 'wide' }, spec: { cidrs: ['10.200.0.0/16'] } });
    await plane.until('gone', () => isGone('more'));
    assert.deepEqual(plane.complaints, []);
  });
});
