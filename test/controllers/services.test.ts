/** Endpoints and endpoint slices against the API server, with a kubelet that only pretends. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { Endpoints, EndpointSlice, Node, Pod, Service } from '../../src/api/kinds.ts';
import type { Draft } from '../../src/machinery/object.ts';
import { type ControlPlane, notFound, readyNode, startControlPlane } from './control-plane.ts';

const bound = { apiVersion: 'v1', kind: 'Pod', namespace: 'default' };

function pod(name: string, ports: NonNullable<Pod['spec']['containers'][0]['ports']> = []): Draft<Pod> {
  return { metadata: { name, namespace: 'default', labels: { app: 'web' } }, spec: { containers: [{ name: 'c', image: 'c', ports }] } };
}

function service(spec: Partial<Service['spec']>): Draft<Service> {
  return {
    metadata: { name: 'web', namespace: 'default', labels: { team: 'a' } },
    spec: { selector: { app: 'web' }, ports: [{ port: 80 }], ...spec },
  };
}

describe('endpoints of a service', () => {
  let plane: ControlPlane;
  let unready: Set<string>;
  beforeEach(async () => {
    unready = new Set();
    // Nobody renews the node's lease.
    plane = await startControlPlane({
      node: 'n1',
      ready: ({ metadata }) => !unready.has(metadata.name),
      controllers: '*,-node-lifecycle-controller',
    });
    await plane.create(Node, readyNode('n1', plane.world));
  });
  afterEach(() => plane.close());

  const slices = async () => (await plane.list(EndpointSlice)).filter(({ metadata }) => metadata.labels?.['kubernetes.io/service-name'] === 'web');
  const endpoints = async () => (await slices()).flatMap((slice) => slice.endpoints ?? []);

  it('are the ready pods it selects, at once', async () => {
    const before = plane.world.clock.now();
    await plane.create(Service, service({ ports: [{ name: 'http', port: 80, targetPort: 8080 }] }));
    unready.add('b');
    const [a] = await Promise.all([plane.create(Pod, pod('a')), plane.create(Pod, pod('b'))]);
    await plane.settle();
    assert.equal(plane.world.clock.now(), before);

    const [slice, ...others] = await slices();
    assert.equal(others.length, 0);
    assert.equal(slice?.addressType, 'IPv4');
    assert.equal(slice?.metadata.labels?.['endpointslice.kubernetes.io/managed-by'], 'endpointslice-controller.k8s.io');
    assert.equal(slice?.metadata.labels?.['team'], 'a');
    assert.match(slice?.metadata.name ?? '', /^web-/);
    assert.equal(slice?.metadata.ownerReferences?.[0]?.kind, 'Service');
    assert.deepEqual(slice?.ports, [{ name: 'http', port: 8080, protocol: 'TCP' }]);
    const [first, second] = [...(slice?.endpoints ?? [])].sort((x, y) => ((x.targetRef?.name ?? '') < (y.targetRef?.name ?? '') ? -1 : 1));
    assert.deepEqual(first?.conditions, { ready: true, serving: true, terminating: false });
    assert.deepEqual(second?.conditions, { ready: false, serving: false, terminating: false });
    assert.equal(first?.nodeName, 'n1');
    assert.deepEqual({ ...bound, ...first?.targetRef }, { ...bound, kind: 'Pod', namespace: 'default', name: 'a', uid: a.metadata.uid });

    const { subsets, metadata } = await plane.get(Endpoints, 'web');
    assert.equal(metadata.labels?.['endpoints.kubernetes.io/managed-by'], 'endpoint-controller');
    assert.deepEqual(
      subsets?.map(({ addresses, notReadyAddresses, ports }) => [addresses?.length, notReadyAddresses?.length, ports]),
      [[1, 1, [{ name: 'http', port: 8080, protocol: 'TCP' }]]],
    );
    assert.deepEqual(plane.complaints, []);
  });

  it('say when what changed them began', async () => {
    const annotation = 'endpoints.kubernetes.io/last-change-trigger-time';
    const times = async () => [
      (await plane.get(Endpoints, 'web')).metadata.annotations?.[annotation],
      ...(await slices()).map(({ metadata }) => metadata.annotations?.[annotation]),
    ];
    const { creationTimestamp } = (await plane.create(Service, service({}))).metadata;
    await plane.settle();
    assert.deepEqual(await times(), [creationTimestamp, creationTimestamp]);
    await plane.settle(5_000);
    await plane.create(Pod, pod('a'));
    await plane.settle();
    const readySince = (await plane.get(Pod, 'a')).status.conditions?.find(({ type }) => type === 'Ready')?.lastTransitionTime;
    assert.ok(readySince !== undefined && readySince > creationTimestamp);
    assert.deepEqual(await times(), [readySince, readySince]);
    await plane.settle(5_000);
    await plane.admin.resource(Pod).namespace('default').delete('a');
    await plane.settle();
    assert.deepEqual(await times(), [undefined, undefined], 'nobody knows when a pod began to go');
  });

  it('go with the pod, and with the service', async () => {
    await plane.create(Service, service({}));
    await plane.create(Pod, pod('a'));
    await plane.settle();
    assert.equal((await endpoints()).length, 1);
    await plane.admin.resource(Pod).namespace('default').delete('a');
    await plane.settle();
    assert.deepEqual(await endpoints(), []);
    assert.equal((await slices()).length, 1);
    await plane.admin.resource(Service).namespace('default').delete('web');
    await plane.settle();
    await plane.until('gone', async () => (await slices()).length === 0 && (await notFound(plane.get(Endpoints, 'web'))));
  });

  it('follow named ports, which differ from pod to pod', async () => {
    await plane.create(Service, service({ ports: [{ name: 'http', port: 80, targetPort: 'web' }] }));
    await plane.create(Pod, pod('a', [{ name: 'web', containerPort: 1111 }]));
    await plane.create(Pod, pod('b', [{ name: 'web', containerPort: 2222 }]));
    await plane.settle();
    assert.deepEqual((await slices()).map(({ ports }) => String(ports?.[0]?.port)).sort(), ['1111', '2222']);
    assert.deepEqual((await plane.get(Endpoints, 'web')).subsets?.map(({ ports }) => String(ports?.[0]?.port)).sort(), ['1111', '2222']);
  });

  it('of a headless service may be published unready, and carry host names', async () => {
    unready.add('a');
    await plane.create(Service, service({ clusterIP: 'None', publishNotReadyAddresses: true }));
    const draft = pod('a');
    await plane.create(Pod, { ...draft, spec: { ...draft.spec, hostname: 'first', subdomain: 'web' } });
    await plane.settle();
    const [endpoint] = await endpoints();
    assert.deepEqual(endpoint?.conditions, { ready: true, serving: false, terminating: false });
    assert.equal(endpoint?.hostname, 'first');
    assert.equal((await slices())[0]?.metadata.labels?.['service.kubernetes.io/headless'], '');
    assert.equal((await plane.get(Endpoints, 'web')).subsets?.[0]?.addresses?.[0]?.hostname, 'first');
  });

  it('go with their node, and come back with it', async () => {
    await plane.create(Service, service({}));
    await plane.create(Pod, pod('a'));
    await plane.settle();
    assert.equal((await endpoints()).length, 1);
    await plane.admin.resource(Node).delete('n1');
    await plane.settle();
    assert.deepEqual(await endpoints(), []);
    await plane.create(Node, readyNode('n1', plane.world));
    await plane.settle();
    assert.equal((await endpoints()).length, 1);
  });

  it('are divided among zones by their processors when the service asks for it', async () => {
    const zoned = async (name: string, zone: string): Promise<void> => {
      const { metadata, status, spec } = readyNode(name, plane.world);
      const labels = { 'topology.kubernetes.io/zone': zone };
      await plane.create(Node, { metadata: { ...metadata, labels }, spec, status: { ...status, allocatable: { cpu: '4' } } });
    };
    await plane.admin.resource(Node).delete('n1');
    await zoned('n1', 'east');
    await zoned('n2', 'west');
    const near = { 'service.kubernetes.io/topology-mode': 'Auto' };
    const draft = service({});
    await plane.create(Service, { ...draft, metadata: { ...draft.metadata, annotations: near } });
    await Promise.all([1, 2, 3, 4].map((i) => plane.create(Pod, pod(`p${i}`))));
    await plane.settle();
    const zones = async () => (await endpoints()).map(({ hints }) => hints?.forZones?.[0]?.name ?? 'anywhere').sort();
    assert.deepEqual(await zones(), ['east', 'east', 'west', 'west']);
    await plane.admin
      .resource(Service)
      .namespace('default')
      .patch('web', { metadata: { annotations: null } });
    await plane.settle();
    assert.deepEqual(await zones(), ['anywhere', 'anywhere', 'anywhere', 'anywhere']);
  });

  it('come a hundred to a slice', async () => {
    await plane.create(Service, service({}));
    await Promise.all(Array.from({ length: 130 }, (_, i) => plane.create(Pod, pod(`p${i}`))));
    await plane.until('130 endpoints', async () => (await endpoints()).filter(({ conditions }) => conditions?.ready).length === 130);
    assert.ok((await slices()).every((slice) => (slice.endpoints ?? []).length <= 100));
    assert.ok((await slices()).length <= 3, `${(await slices()).length} slices`);
  });

  it('written by hand are mirrored', async () => {
    await plane.create(Service, { metadata: { name: 'web', namespace: 'default' }, spec: { ports: [{ port: 80 }] } });
    await plane.create(Endpoints, {
      metadata: { name: 'web', namespace: 'default' },
      subsets: [{ addresses: [{ ip: '192.0.2.1' }], notReadyAddresses: [{ ip: '192.0.2.2' }], ports: [{ port: 8080 }] }],
    });
    await plane.settle();
    const [slice] = await slices();
    assert.equal(slice?.metadata.labels?.['endpointslice.kubernetes.io/managed-by'], 'endpointslicemirroring-controller.k8s.io');
    assert.deepEqual(
      slice?.endpoints?.map(({ addresses, conditions }) => [addresses[0], conditions?.ready]),
      [
        ['192.0.2.1', true],
        ['192.0.2.2', false],
      ],
    );
    await plane.admin.resource(Endpoints).namespace('default').delete('web');
    await plane.settle();
    await plane.until('gone', async () => (await slices()).length === 0);
  });
});

describe('endpoints that are written as the operator says', () => {
  const drafts = Array.from({ length: 5 }, (_, i) => pod(`p${i}`));
  const writesTo = (plane: ControlPlane): string[] => {
    const writes: string[] = [];
    const note = ({ kind, metadata }: Endpoints | EndpointSlice): void => {
      if (metadata.name.startsWith('web')) writes.push(kind);
    };
    for (const kind of [Endpoints, EndpointSlice]) plane.informers.of<Endpoints | EndpointSlice>(kind).subscribe({ added: note, updated: note });
    return writes;
  };

  it('have slices of another size', async () => {
    const plane = await startControlPlane({ node: 'n1', options: { maxEndpointsPerSlice: 2 } });
    await plane.create(Node, readyNode('n1', plane.world));
    await plane.create(Service, service({}));
    for (const draft of drafts) await plane.create(Pod, draft);
    await plane.settle();
    const sizes = (await plane.list(EndpointSlice))
      .filter(({ metadata }) => metadata.generateName === 'web-')
      .map(({ endpoints }) => endpoints?.length);
    assert.deepEqual(
      sizes.toSorted((a = 0, b = 0) => a - b),
      [1, 2, 2],
    );
    await plane.close();
  });

  it('are written once for all that happens within the batch period', async () => {
    const options = { endpointUpdatesBatchPeriodMs: 1_000, endpointSliceUpdatesBatchPeriodMs: 1_000 };
    const plane = await startControlPlane({ node: 'n1', options });
    await plane.create(Node, readyNode('n1', plane.world));
    await plane.create(Service, service({}));
    const writes = writesTo(plane);
    await plane.settle(100);
    assert.deepEqual(writes.splice(0).sort(), ['EndpointSlice', 'Endpoints'], 'a Service does not wait');
    for (const draft of drafts) {
      await plane.create(Pod, draft);
      await plane.settle(10);
    }
    assert.deepEqual(writes, []);
    await plane.settle(1_000);
    assert.deepEqual(new Set(writes), new Set(['EndpointSlice', 'Endpoints']));
    assert.equal(writes.length, 2);
    assert.equal((await plane.get(Endpoints, 'web')).subsets?.[0]?.addresses?.length, 5);
    await plane.close();
  });

  it('copy what a mirrored object carries, but not how it was applied', async () => {
    const plane = await startControlPlane();
    await plane.create(Service, { metadata: { name: 'outside', namespace: 'default' }, spec: { ports: [{ port: 80 }] } });
    const annotations = { a: 'b', 'kubectl.kubernetes.io/last-applied-configuration': '{}', 'endpoints.kubernetes.io/last-change-trigger-time': 'x' };
    const addresses = Array.from({ length: 150 }, (_, i) => ({ ip: `10.1.2.${i + 1}` }));
    await plane.create(Endpoints, {
      metadata: { name: 'outside', namespace: 'default', annotations },
      subsets: [{ addresses, ports: [{ port: 80 }] }],
    });
    await plane.settle();
    const [slice, ...more] = (await plane.list(EndpointSlice)).filter(({ metadata }) => metadata.generateName === 'outside-');
    assert.deepEqual([slice?.metadata.annotations, slice?.endpoints?.length, more.length], [{ a: 'b' }, 150, 0]);
    await plane.admin
      .resource(Endpoints)
      .namespace('default')
      .patch('outside', { metadata: { annotations: { a: 'c' } } });
    await plane.settle();
    assert.deepEqual((await plane.list(EndpointSlice)).find(({ metadata }) => metadata.generateName === 'outside-')?.metadata.annotations, {
      a: 'c',
    });
    await plane.close();
  });
});
