/**
 * NodeMetrics and PodMetrics (metrics.k8s.io/v1beta1): what nodes and pods use at the moment of reading. Nothing of them is stored, and a server has them
 * only if somebody answers for them. See https://github.com/kubernetes/metrics
 */
import type { ObjectSchema, Property, Schema } from '../../machinery/schema.ts';
import { column, nameColumn } from '../columns.ts';
import type { Kind } from '../kind.ts';
import type { NamespacedObjectMeta, ObjectMeta } from '../../machinery/object.ts';
import { parseQuantity, Quantity } from '../../machinery/quantity.ts';
import { schemaOf } from '../schemas.ts';

/** Quantities by resource: `cpu` and `memory`. */
export type ResourceUsage = Record<string, string>;

interface Measured {
  apiVersion: string;
  kind: string;
  /** When the figures were taken, at the end of the window. */
  timestamp: string;
  /** A duration, as Go writes it: `15.013s`. */
  window: string;
}

export interface NodeMetrics extends Measured {
  metadata: ObjectMeta;
  usage: ResourceUsage;
}

export interface PodMetrics extends Measured {
  metadata: NamespacedObjectMeta;
  containers: { name: string; usage: ResourceUsage }[];
}

export const metricsGroup = 'metrics.k8s.io';

const model = 'io.k8s.metrics.pkg.apis.metrics.v1beta1';
const usage: Schema = { type: 'map', values: { type: 'quantity' }, mapType: 'granular' };

function schema(name: string, fields: Readonly<Record<string, Schema>>): ObjectSchema {
  return {
    type: 'object',
    name: name === '' ? '' : `${model}.${name}`,
    properties: Object.fromEntries(
      Object.entries(fields).map(([field, of]): [string, Property] => [field, { schema: of, required: true, patchStrategy: [] }]),
    ),
    mapType: 'granular',
    preserveUnknown: false,
  };
}

function measured(name: string, fields: Readonly<Record<string, Schema>>): ObjectSchema {
  return schema(name, {
    apiVersion: { type: 'string' },
    kind: { type: 'string' },
    metadata: schemaOf('V1ObjectMeta'),
    timestamp: { type: 'time' },
    window: { type: 'string' },
    ...fields,
  });
}

const shared = {
  group: metricsGroup,
  version: 'v1beta1',
  singular: '',
  shortNames: [],
  categories: [],
  verbs: ['get', 'list'],
  virtual: true,
  subresources: {},
  nameRule: 'dns-subdomain',
  generation: false,
  selectableFields: {},
} as const;

export const NodeMetrics: Kind<NodeMetrics> = {
  ...shared,
  kind: 'NodeMetrics',
  resource: 'nodes',
  namespaced: false,
  get schema() {
    return measured('NodeMetrics', { usage });
  },
  columns: [
    nameColumn,
    column('cpu', 'What the node uses.', ({ usage: used }) => used['cpu'] ?? ''),
    column('memory', 'What the node uses.', ({ usage: used }) => used['memory'] ?? ''),
    column('Window', 'The time it was measured over.', ({ window }) => window),
  ],
};

export const PodMetrics: Kind<PodMetrics> = {
  ...shared,
  kind: 'PodMetrics',
  resource: 'pods',
  namespaced: true,
  get schema() {
    const container = schema('ContainerMetrics', { name: { type: 'string' }, usage });
    return measured('PodMetrics', { containers: { type: 'list', items: container, listType: 'atomic', mapKeys: [] } });
  },
  columns: [
    nameColumn,
    column('cpu', 'What its containers use.', ({ containers }) => totalOf(containers, 'cpu')),
    column('memory', 'What its containers use.', ({ containers }) => totalOf(containers, 'memory')),
    column('Window', 'The time it was measured over.', ({ window }) => window),
  ],
};

function totalOf(containers: PodMetrics['containers'], resource: string): string {
  const total = containers.flatMap(({ usage: used }) => used[resource] ?? []).map(parseQuantity);
  return total.reduce((sum, quantity) => sum.add(quantity), Quantity.zero).toString();
}
