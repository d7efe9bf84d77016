/** Small schemas for this folder's tests, written as briefly as they read. The real ones live in `api/`, above this layer. */
import type { ListSchema, MapSchema, ObjectSchema, Property, ScalarSchema, Schema } from './schema.ts';

export const text: ScalarSchema = { type: 'string' };
export const int32: ScalarSchema = { type: 'integer', format: 'int32' };
export const bool: ScalarSchema = { type: 'boolean' };

export function object(
  name: string,
  properties: Readonly<Record<string, Schema | Property>>,
  mapType: 'granular' | 'atomic' = 'granular',
): ObjectSchema {
  const full = Object.entries(properties).map(([key, value]) => [key, 'schema' in value ? value : field(value)] as const);
  return { type: 'object', name, properties: Object.fromEntries(full), mapType, preserveUnknown: false };
}

export function field(schema: Schema, more: Partial<Property> = {}): Property {
  return { schema, required: false, patchStrategy: [], ...more };
}

export function map(values: Schema): MapSchema {
  return { type: 'map', values, mapType: 'granular' };
}

export function list(items: Schema, listType: ListSchema['listType'] = 'atomic', ...mapKeys: readonly string[]): ListSchema {
  return { type: 'list', items, listType, mapKeys };
}

const meta = object('io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta', {
  name: text,
  namespace: text,
  uid: text,
  resourceVersion: text,
  creationTimestamp: { type: 'time' },
  labels: map(text),
  annotations: map(text),
  finalizers: field(list(text, 'set'), { patchStrategy: ['merge'] }),
  managedFields: list({ type: 'any' }),
});

const port = object('io.k8s.api.core.v1.ContainerPort', { name: text, containerPort: field(int32, { required: true }), protocol: text });
const env = object('io.k8s.api.core.v1.EnvVar', { name: field(text, { required: true }), value: text });
const resources = object('io.k8s.api.core.v1.ResourceRequirements', { limits: map({ type: 'quantity' }), requests: map({ type: 'quantity' }) });
const container = object('io.k8s.api.core.v1.Container', {
  name: field(text, { required: true }),
  image: text,
  args: list(text),
  env: field(list(env, 'map', 'name'), { patchStrategy: ['merge'], mergeKey: 'name' }),
  ports: field(list(port, 'map', 'containerPort', 'protocol'), { patchStrategy: ['merge'], mergeKey: 'containerPort' }),
  resources,
  stdin: bool,
});
const volume = object('io.k8s.api.core.v1.Volume', {
  name: field(text, { required: true }),
  emptyDir: object('io.k8s.api.core.v1.EmptyDirVolumeSource', { medium: text, sizeLimit: { type: 'quantity' } }),
  hostPath: object('io.k8s.api.core.v1.HostPathVolumeSource', { path: text }),
});

export const podSpec = object('io.k8s.api.core.v1.PodSpec', {
  containers: field(list(container, 'map', 'name'), { required: true, patchStrategy: ['merge'], mergeKey: 'name' }),
  volumes: field(list(volume, 'map', 'name'), { patchStrategy: ['merge', 'retainKeys'], mergeKey: 'name' }),
  nodeSelector: { type: 'map', values: text, mapType: 'atomic' },
  restartPolicy: text,
  priority: int32,
});

export const pod = object('io.k8s.api.core.v1.Pod', { apiVersion: text, kind: text, metadata: meta, spec: podSpec });

export const configMap = object('io.k8s.api.core.v1.ConfigMap', {
  apiVersion: text,
  kind: text,
  metadata: meta,
  data: map(text),
  binaryData: map({ type: 'bytes' }),
  immutable: bool,
});

const selector = object('io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector', { matchLabels: map(text) }, 'atomic');
const template = object('io.k8s.api.core.v1.PodTemplateSpec', { metadata: meta, spec: podSpec });
const strategy = object('io.k8s.api.apps.v1.DeploymentStrategy', {
  type: text,
  rollingUpdate: object('io.k8s.api.apps.v1.RollingUpdateDeployment', {
    maxSurge: { type: 'int-or-string' },
    maxUnavailable: { type: 'int-or-string' },
  }),
});
const condition = object('io.k8s.api.apps.v1.DeploymentCondition', { type: text, status: text, lastUpdateTime: { type: 'time' } });

export const deployment = object('io.k8s.api.apps.v1.Deployment', {
  apiVersion: text,
  kind: text,
  metadata: meta,
  spec: object('io.k8s.api.apps.v1.DeploymentSpec', {
    replicas: int32,
    selector: field(selector, { required: true }),
    template: field(template, { required: true }),
    strategy: field(strategy, { patchStrategy: ['retainKeys'] }),
    paused: bool,
  }),
  status: object('io.k8s.api.apps.v1.DeploymentStatus', {
    replicas: int32,
    conditions: field(list(condition, 'map', 'type'), { patchStrategy: ['merge'], mergeKey: 'type' }),
  }),
});
