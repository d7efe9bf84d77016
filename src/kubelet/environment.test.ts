import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ConfigMap, Pod, Secret, Service } from '../api/kinds.ts';
import type { V1Container } from '../api/types.ts';
import { type EnvironmentSources, environmentOf } from './environment.ts';

const metadata = { namespace: 'default', uid: 'u', resourceVersion: '1', creationTimestamp: '' };
const pod: Pod = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { ...metadata, name: 'web', labels: { b: '2', a: 'say "1"' } },
  spec: { nodeName: 'node-1', containers: [] },
  status: {},
};
const settings: ConfigMap = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { ...metadata, name: 'settings' }, data: { COLOR: 'red', SIZE: 'big' } };
const secret: Secret = {
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { ...metadata, name: 'keys' },
  data: { TOKEN: Buffer.from('s3cret').toString('base64') },
};
const service = (name: string, clusterIP: string, ports: Service['spec']['ports']): Service => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { ...metadata, name },
  spec: { clusterIP, ...(ports && { ports }) },
  status: {},
});

const sources: EnvironmentSources = {
  pod,
  addresses: { podIps: ['10.0.0.2'], hostIps: ['192.0.2.1'] },
  allocatable: { cpu: '4', memory: '8Gi' },
  services: () => [service('my-db', '10.96.0.7', [{ name: 'sql', port: 5432 }]), service('headless', 'None', [{ port: 1 }])],
  masterService: service('kubernetes', '10.96.0.1', [{ name: 'https', port: 443, protocol: 'TCP' }]),
  configMap: async (name) => (name === 'settings' ? settings : undefined),
  secret: async (name) => (name === 'keys' ? secret : undefined),
};

async function env(container: Partial<V1Container>, with_: Partial<EnvironmentSources> = {}): Promise<Record<string, string>> {
  return Object.fromEntries(await environmentOf({ name: 'main', ...container }, { ...sources, ...with_ }));
}

describe('values', () => {
  test('refer to earlier ones, to envFrom and to services', async () => {
    const found = await env({
      envFrom: [{ prefix: 'CFG_', configMapRef: { name: 'settings' } }, { secretRef: { name: 'keys' } }],
      env: [
        { name: 'A', value: 'a' },
        { name: 'B', value: '$(A)/$(CFG_COLOR)/$(TOKEN)/$(MY_DB_SERVICE_HOST)/$(LATER)/$$(A)' },
        { name: 'LATER', value: 'x' },
      ],
    });
    assert.equal(found.B, 'a/red/s3cret/10.96.0.7/$(LATER)/$(A)');
    assert.equal(found.CFG_SIZE, 'big');
  });

  test('announce services', async () => {
    const found = await env({});
    assert.equal(found.KUBERNETES_SERVICE_HOST, '10.96.0.1');
    assert.equal(found.KUBERNETES_SERVICE_PORT_HTTPS, '443');
    assert.equal(found.MY_DB_PORT, 'tcp://10.96.0.7:5432');
    assert.equal(found.MY_DB_PORT_5432_TCP_ADDR, '10.96.0.7');
    assert.equal(found.HEADLESS_SERVICE_HOST, undefined);
  });

  test('announce only the master when links are off', async () => {
    const found = await env({}, { pod: { ...pod, spec: { ...pod.spec, enableServiceLinks: false } } });
    assert.ok(found.KUBERNETES_PORT);
    assert.equal(found.MY_DB_PORT, undefined);
  });

  test('come from the pod, its labels and its limits', async () => {
    const field = (name: string, fieldPath: string) => ({ name, valueFrom: { fieldRef: { fieldPath } } });
    const resource = (name: string, what: string, divisor?: string) => ({
      name,
      valueFrom: { resourceFieldRef: { resource: what, ...(divisor && { divisor }) } },
    });
    const found = await env({
      resources: { limits: { memory: '64Mi' }, requests: { cpu: '250m' } },
      env: [
        field('NAME', 'metadata.name'),
        field('LABEL', "metadata.labels['a']"),
        field('LABELS', 'metadata.labels'),
        field('POD_IP', 'status.podIP'),
        field('HOST_IP', 'status.hostIP'),
        field('NODE', 'spec.nodeName'),
        resource('MEM', 'limits.memory', '1Mi'),
        resource('CPU', 'requests.cpu', '1m'),
        resource('CPUS', 'requests.cpu'),
        resource('CPU_LIMIT', 'limits.cpu'),
      ],
    });
    assert.deepEqual(
      [found.NAME, found.LABEL, found.LABELS, found.POD_IP, found.HOST_IP, found.NODE, found.MEM, found.CPU, found.CPUS, found.CPU_LIMIT],
      ['web', 'say "1"', 'a="say \\"1\\""\nb="2"', '10.0.0.2', '192.0.2.1', 'node-1', '64', '250', '1', '4'],
    );
  });
});

describe('what is missing', () => {
  const key = (ref: object) => ({ env: [{ name: 'X', valueFrom: ref }] });
  for (const [container, message] of [
    [key({ configMapKeyRef: { name: 'gone', key: 'k' } }), 'configmap "gone" not found'],
    [key({ configMapKeyRef: { name: 'settings', key: 'k' } }), "couldn't find key k in ConfigMap default/settings"],
    [key({ secretKeyRef: { name: 'gone', key: 'k' } }), 'secret "gone" not found'],
    [key({ secretKeyRef: { name: 'keys', key: 'k' } }), "couldn't find key k in Secret default/keys"],
    [{ envFrom: [{ configMapRef: { name: 'gone' } }] }, 'configmap "gone" not found'],
  ] as const) {
    test(message, () => assert.rejects(env(container as Partial<V1Container>), { message }));
  }

  test('is left out when optional', async () => {
    const found = await env({
      envFrom: [{ secretRef: { name: 'gone', optional: true } }],
      env: [{ name: 'X', valueFrom: { configMapKeyRef: { name: 'settings', key: 'k', optional: true } } }],
    });
    assert.equal('X' in found, false);
  });
});
