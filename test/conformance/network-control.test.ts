/**
 * The conformance behaviours of sig-network that the API server and the controllers answer for, on simulated nodes and a virtual clock. Each test bears the
 * behaviour's name. Those in which packets flow are listed in `needs-containers.ts`.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Draft, Endpoints, EndpointSlice, Ingress, IngressClass, Pod, Service, type VirtualCluster } from '../../src/index.ts';
import { assertApiOperations, assertDiscovered } from './api-operations.ts';
import { inDefault, isReady, podTemplate, untilGone, watching, withCluster } from './on-simulated-nodes.ts';

test('[sig-network] Ingress API should support creating Ingress API operations [Conformance]', () =>
  withCluster(0, async (cluster) => {
    const backend = { service: { name: 'default-backend', port: { number: 80 } } };
    const path = { path: '/', pathType: 'ImplementationSpecific', backend: { service: { name: 'test-backend', port: { number: 8080 } } } };
    const draft: Draft<Ingress> = {
      metadata: {},
      spec: { defaultBackend: backend, rules: [{ host: 'foo.bar.com', http: { paths: [path] } }] },
    };
    await assertDiscovered(cluster, 'networking.k8s.io', 'v1', 'ingresses');
    await assertApiOperations(cluster, Ingress, draft);
    const ingresses = inDefault(cluster, Ingress);
    const created = await ingresses.create({ ...draft, metadata: { name: 'with-status' } });
    const at = (ip: string) => ({ loadBalancer: { ingress: [{ ip }] } });
    const patched = await ingresses.patch('with-status', { status: at('169.1.1.1') }, { subresource: 'status' });
    assert.equal(patched.status.loadBalancer?.ingress?.[0]?.ip, '169.1.1.1');
    const updated = await ingresses.updateStatus({ ...patched, status: at('169.1.1.2') });
    assert.equal(updated.status.loadBalancer?.ingress?.[0]?.ip, '169.1.1.2');
    assert.equal(updated.metadata.generation, created.metadata.generation);
    assert.deepEqual((await ingresses.getSubresource<Ingress>('with-status', 'status')).status, updated.status);
  }));

test('[sig-network] IngressClass API should support creating IngressClass API operations [Conformance]', () =>
  withCluster(0, async (cluster) => {
    await assertDiscovered(cluster, 'networking.k8s.io', 'v1', 'ingressclasses');
    await assertApiOperations(cluster, IngressClass, { metadata: {}, spec: { controller: 'example.com/controller' } });
  }));

const podFor = (name: string, app: string, ports: NonNullable<Pod['spec']['containers'][number]['ports']> = []): Draft<Pod> => ({
  ...podTemplate({}, 'app:1', { containers: [{ name: 'main', image: 'app:1', ports }] }),
  metadata: { name, labels: { app } },
});

test('[sig-network] Service endpoints latency should not be very high [Conformance]', () =>
  withCluster(1, async (cluster) => {
    await inDefault(cluster, Pod).create(podFor('svc-latency', 'latency'));
    await cluster.until(async () => isReady(await inDefault(cluster, Pod).get('svc-latency')));
    const latenciesMs: number[] = [];
    for (let index = 0; index < 100; index++) {
      const name = `latency-svc-${index}`;
      const begin = cluster.now().getTime();
      await inDefault(cluster, Service).create({ metadata: { name }, spec: { selector: { app: 'latency' }, ports: [{ port: 80 }] } });
      await cluster.until(
        async () => (await inDefault(cluster, Endpoints).list({ fieldSelector: `metadata.name=${name}` })).items[0]?.subsets?.[0]?.addresses,
      );
      latenciesMs.push(cluster.now().getTime() - begin);
    }
    latenciesMs.sort((a, b) => a - b);
    // Of the cluster's own time, in which computing takes none: whatever there is, somebody waited for.
    assert.ok((latenciesMs[50] ?? Infinity) <= 20_000, `${latenciesMs[50]} ms`);
    assert.ok((latenciesMs[99] ?? Infinity) <= 50_000, `${latenciesMs[99]} ms`);
  }));

test('[sig-network] Services should be able to change the type from NodePort to ExternalName [Conformance]', () =>
  withCluster(0, async (cluster) => {
    const services = inDefault(cluster, Service);
    const created = await services.create({ metadata: { name: 'nodeport' }, spec: { type: 'NodePort', ports: [{ port: 80 }] } });
    const [port] = created.spec.ports ?? [];
    assert.ok((port?.nodePort ?? 0) >= 30_000);
    assert.match(created.spec.clusterIP ?? '', /^10\./);
    const changed = await services.update({ ...created, spec: { type: 'ExternalName', externalName: 'example.com' } });
    assert.equal(changed.spec.clusterIP ?? '', '');
    assert.equal(changed.spec.ports, undefined);
    // Both are free for another service.
    const { clusterIP, ports: [{ nodePort } = {}] = [] } = created.spec;
    assert.ok(clusterIP !== undefined && nodePort !== undefined);
    const heir = await services.create({ metadata: { name: 'heir' }, spec: { type: 'NodePort', clusterIP, ports: [{ port: 80, nodePort }] } });
    assert.deepEqual([heir.spec.clusterIP, heir.spec.ports?.[0]?.nodePort], [clusterIP, nodePort]);
  }));

test('[sig-network] Services should find a service from listing all namespaces [Conformance]', () =>
  withCluster(0, async (cluster) => {
    const { items } = await cluster.client.resource(Service).list();
    assert.ok(items.some(({ metadata }) => metadata.name === 'kubernetes' && metadata.namespace === 'default'));
  }));

test('[sig-network] Services should provide secure master service [Conformance]', () =>
  withCluster(0, async (cluster) => {
    const { spec } = await inDefault(cluster, Service).get('kubernetes');
    assert.deepEqual(
      spec.ports?.map(({ name, port, protocol }) => [name, port, protocol]),
      [['https', 443, 'TCP']],
    );
  }));

/** Ready addresses by port, as endpoint slices have them: `80: 10.244.0.2`. */
async function endpointsOf(cluster: VirtualCluster, service: string): Promise<readonly string[]> {
  const { items } = await inDefault(cluster, EndpointSlice).list({ labelSelector: `kubernetes.io/service-name=${service}` });
  return items
    .flatMap(({ ports = [], endpoints = [] }) =>
      ports.flatMap(({ port }) =>
        endpoints.filter(({ conditions }) => conditions?.ready).flatMap(({ addresses }) => addresses.map((address) => `${port}: ${address}`)),
      ),
    )
    .toSorted();
}

/** The same, as the older Endpoints have them. */
async function olderEndpointsOf(cluster: VirtualCluster, service: string): Promise<readonly string[]> {
  const { subsets = [] } = await inDefault(cluster, Endpoints).get(service);
  return subsets.flatMap(({ ports = [], addresses = [] }) => ports.flatMap(({ port }) => addresses.map(({ ip }) => `${port}: ${ip}`))).toSorted();
}

test('[sig-network] Services should serve a basic endpoint from pods [Conformance]', () =>
  withCluster(2, async (cluster) => {
    const pods = inDefault(cluster, Pod);
    await inDefault(cluster, Service).create({ metadata: { name: 'basic' }, spec: { selector: { app: 'basic' }, ports: [{ port: 80 }] } });
    const untilEndpoints = async (...names: string[]): Promise<void> => {
      await cluster.until(
        async () => {
          const served = await Promise.all(names.map((name) => pods.get(name)));
          const expected = JSON.stringify(served.map(({ status }) => `80: ${status.podIP}`).toSorted());
          return (
            JSON.stringify(await endpointsOf(cluster, 'basic')) === expected && JSON.stringify(await olderEndpointsOf(cluster, 'basic')) === expected
          );
        },
        { what: `the endpoints are those of ${names.join(' and ') || 'nobody'}`, timeout: '2m' },
      );
    };
    await cluster.settle();
    await untilEndpoints();
    await pods.create(podFor('pod1', 'basic', [{ containerPort: 80 }]));
    await untilEndpoints('pod1');
    await pods.create(podFor('pod2', 'basic', [{ containerPort: 80 }]));
    await untilEndpoints('pod1', 'pod2');
    await pods.delete('pod1');
    await untilGone(cluster, Pod, 'pod1');
    await untilEndpoints('pod2');
    await pods.delete('pod2');
    await untilGone(cluster, Pod, 'pod2');
    await untilEndpoints();
  }));

test('[sig-network] Services should test the lifecycle of an Endpoint [Conformance]', () =>
  withCluster(0, async (cluster) => {
    const endpoints = inDefault(cluster, Endpoints);
    const seen = await watching(cluster, Endpoints, 'test-endpoint-static=true');
    const subsets = [{ addresses: [{ ip: '10.0.0.24' }], ports: [{ name: 'http', port: 80, protocol: 'TCP' }] }];
    const created = await endpoints.create({ metadata: { name: 'testservice', labels: { 'test-endpoint-static': 'true' } }, subsets });
    const everywhere = await cluster.client.resource(Endpoints).list({ labelSelector: 'test-endpoint-static=true' });
    assert.deepEqual(
      everywhere.items.map(({ metadata }) => metadata.uid),
      [created.metadata.uid],
    );
    const updated = await endpoints.update({
      ...created,
      metadata: { ...created.metadata, labels: { ...created.metadata.labels, 'test-service': 'updated' } },
    });
    assert.equal(updated.metadata.labels?.['test-service'], 'updated');
    const moved = [{ addresses: [{ ip: '10.0.0.25' }], ports: [{ name: 'http-test', port: 8080, protocol: 'TCP' }] }];
    await endpoints.patch('testservice', { metadata: { labels: { 'test-service': 'patched' } }, subsets: moved });
    const patched = await endpoints.get('testservice');
    assert.equal(patched.metadata.labels?.['test-service'], 'patched');
    assert.deepEqual(patched.subsets, moved);
    await endpoints.deleteCollection({ labelSelector: 'test-endpoint-static=true' });
    await untilGone(cluster, Endpoints, 'testservice');
    await cluster.until(() => seen.lines.at(-1) === 'DELETED testservice', { what: 'the watch tells of the deletion' });
    assert.deepEqual(seen.lines, ['ADDED testservice', 'MODIFIED testservice', 'MODIFIED testservice', 'DELETED testservice']);
    seen.end();
  }));
