import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { conflictError } from './apply-conflict.ts';
import { type ApplyOptions, type TrackOptions, applyConfiguration, trackUpdate } from './apply.ts';
import { deepFreeze } from './clone.ts';
import { PatchError } from './patch-error.ts';
import type { ManagedFieldsEntry } from './object.ts';
import type { ObjectSchema } from './schema.ts';
import { configMap, deployment } from './test-schema.ts';

type Item = Record<string, unknown>;
interface Live extends Item {
  metadata: Item & { managedFields?: ManagedFieldsEntry[] };
}

const hour = (n: number): string => `2024-01-01T0${n}:00:00Z`;

/** A server with one object: what these tests apply to and update. */
class OneObject {
  live: Live | undefined;
  private readonly schema: ObjectSchema;
  private readonly apiVersion: string;
  private clock = 0;

  constructor(schema: ObjectSchema, apiVersion: string, live?: Live) {
    this.schema = schema;
    this.apiVersion = apiVersion;
    this.live = live;
  }

  apply(manager: string, applied: object, options: Partial<ApplyOptions> = {}): ReturnType<typeof applyConfiguration>['conflicts'] {
    const { live, schema, apiVersion } = this;
    const result = applyConfiguration({
      live: live && deepFreeze(live),
      applied: deepFreeze(applied),
      schema,
      manager,
      force: false,
      apiVersion,
      time: this.tick(),
      ...options,
    });
    if (result.conflicts.length === 0) this.live = result.object as Live;
    return result.conflicts;
  }

  update(manager: string, change: (object: Live) => void, options: Partial<TrackOptions> = {}): void {
    const before = this.live;
    const after = structuredClone<Live>(before ?? { metadata: {} });
    change(after);
    const managedFields = trackUpdate({ before, after, schema: this.schema, manager, apiVersion: this.apiVersion, time: this.tick(), ...options });
    this.live = { ...after, metadata: { ...after.metadata, managedFields } };
  }

  /** Each manager's set, named `manager`, `manager/Update` or `manager/Update/status`. */
  owners(): Record<string, unknown> {
    const entries = (this.live?.metadata.managedFields ?? []).map(({ manager, operation, subresource, fieldsV1 }) => [
      [manager, ...(operation === 'Apply' ? [] : [operation]), ...(subresource === undefined ? [] : [subresource])].join('/'),
      fieldsV1,
    ]);
    return Object.fromEntries(entries) as Record<string, unknown>;
  }

  timeOf(manager: string): string | undefined {
    return this.live?.metadata.managedFields?.find((entry) => entry.manager === manager)?.time;
  }

  private tick(): string {
    return hour(++this.clock);
  }
}

function specOf(server: OneObject): Item & { template: { spec: { containers: Item[] } } } {
  assert.ok(server.live);
  return server.live['spec'] as ReturnType<typeof specOf>;
}

const labels = { 'f:metadata': { 'f:labels': { 'f:l': {} } } };

function applied(data: object, metadata: object = { labels: { l: '1' } }): object {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'ssa', ...metadata }, data };
}

describe('the recorded config map', () => {
  const server = new OneObject(configMap, 'v1');

  test('the first apply creates', () => {
    assert.deepEqual(server.apply('one', applied({ a: '1', b: '2' })), []);
    assert.deepEqual(server.live?.['data'], { a: '1', b: '2' });
    assert.deepEqual(server.live?.metadata.managedFields, [
      {
        manager: 'one',
        operation: 'Apply',
        apiVersion: 'v1',
        time: hour(1),
        fieldsType: 'FieldsV1',
        fieldsV1: { 'f:data': { 'f:a': {}, 'f:b': {} }, ...labels },
      },
    ]);
  });
  test('who applies the same values shares them', () => {
    assert.deepEqual(server.apply('two', applied({ a: '1' })), []);
    assert.deepEqual(server.owners(), { one: { 'f:data': { 'f:a': {}, 'f:b': {} }, ...labels }, two: { 'f:data': { 'f:a': {} }, ...labels } });
  });
  test('other values conflict, and change nothing', () => {
    const before = server.live;
    const conflicts = server.apply('two', applied({ a: '9', b: '8' }));
    assert.equal(server.live, before);
    const error = conflictError(conflicts);
    assert.equal(error.code, 409);
    assert.equal(error.message, 'Apply failed with 2 conflicts: conflicts with "one":\n- .data.a\n- .data.b');
    assert.deepEqual(error.details?.causes, [
      { reason: 'FieldManagerConflict', message: 'conflict with "one"', field: '.data.a' },
      { reason: 'FieldManagerConflict', message: 'conflict with "one"', field: '.data.b' },
    ]);
  });
  test('force takes over', () => {
    assert.deepEqual(server.apply('two', applied({ a: '9' }), { force: true }), []);
    assert.deepEqual(server.live?.['data'], { a: '9', b: '2' });
    assert.deepEqual(server.owners(), { one: { 'f:data': { 'f:b': {} }, ...labels }, two: { 'f:data': { 'f:a': {} }, ...labels } });
  });
  test('what is no longer applied goes, unless another owns it', () => {
    assert.deepEqual(server.apply('one', { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'ssa' } }), []);
    assert.deepEqual(server.live?.['data'], { a: '9' });
    assert.deepEqual(server.live?.metadata['labels'], { l: '1' });
    assert.deepEqual(server.owners(), { two: { 'f:data': { 'f:a': {} }, ...labels } });
  });
  test('another verb is tracked as an update', () => {
    server.update('three', (object) => {
      object['data'] = { a: '9', c: '3' };
    });
    assert.deepEqual(server.owners(), { two: { 'f:data': { 'f:a': {} }, ...labels }, 'three/Update': { 'f:data': { 'f:c': {} } } });
  });
  test('a conflict with an update names its version', () => {
    const error = conflictError(server.apply('two', applied({ a: '9', c: '4' })));
    assert.equal(error.message, 'Apply failed with 1 conflict: conflict with "three" using v1: .data.c');
    assert.deepEqual(error.details?.causes, [{ reason: 'FieldManagerConflict', message: 'conflict with "three" using v1', field: '.data.c' }]);
  });
  test('an empty map is owned', () => {
    assert.deepEqual(server.apply('four', applied({}, {})), []);
    assert.deepEqual(server.owners()['four'], { 'f:data': {} });
  });
});

const podTemplate = (containers: readonly object[]): object => ({ metadata: { labels: { a: 'b' } }, spec: { containers } });
const deploymentOf = (spec: object): object => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'ssad' },
  spec: { selector: { matchLabels: { a: 'b' } }, ...spec },
});

describe('the recorded deployment', () => {
  const server = new OneObject(deployment, 'apps/v1');
  const first = { name: 'c', image: 'x', ports: [{ containerPort: 80 }], env: [{ name: 'A', value: '1' }] };
  const containerSet = { '.': {}, 'f:env': { 'k:{"name":"A"}': { '.': {}, 'f:name': {}, 'f:value': {} } }, 'f:image': {}, 'f:name': {} };
  const ports = { 'f:ports': { 'k:{"containerPort":80,"protocol":"TCP"}': { '.': {}, 'f:containerPort': {} } } };
  const templateLabels = { 'f:metadata': { 'f:labels': { 'f:a': {} } } };

  test('list items are owned by their keys, absent keys by their default', () => {
    assert.deepEqual(server.apply('one', deploymentOf({ replicas: 0, template: podTemplate([first]) })), []);
    assert.deepEqual(server.owners(), {
      one: {
        'f:spec': {
          'f:replicas': {},
          'f:selector': {},
          'f:template': { ...templateLabels, 'f:spec': { 'f:containers': { 'k:{"name":"c"}': { ...containerSet, ...ports } } } },
        },
      },
    });
  });
  const second = deploymentOf({
    template: podTemplate([
      { name: 'c', image: 'y' },
      { name: 'side', image: 'z' },
    ]),
  });
  test('a conflict inside an item names the item', () => {
    assert.equal(
      conflictError(server.apply('two', second)).message,
      'Apply failed with 1 conflict: conflict with "one": .spec.template.spec.containers[name="c"].image',
    );
  });
  test('by force the field moves, the rest is shared', () => {
    server.update('kube-controller-manager', (object) => {
      object.metadata['annotations'] = { 'deployment.kubernetes.io/revision': '1' };
      object['status'] = { conditions: [{ type: 'Progressing', status: 'True' }] };
    });
    assert.deepEqual(server.apply('two', second, { force: true }), []);
    const spec = specOf(server);
    assert.deepEqual(spec.template.spec.containers, [
      { ...first, image: 'y' },
      { name: 'side', image: 'z' },
    ]);
    const { 'f:image': _, ...withoutImage } = containerSet;
    assert.deepEqual(server.owners(), {
      one: {
        'f:spec': {
          'f:replicas': {},
          'f:selector': {},
          'f:template': { ...templateLabels, 'f:spec': { 'f:containers': { 'k:{"name":"c"}': { ...withoutImage, ...ports } } } },
        },
      },
      two: {
        'f:spec': {
          'f:selector': {},
          'f:template': {
            ...templateLabels,
            'f:spec': {
              'f:containers': {
                'k:{"name":"c"}': { '.': {}, 'f:image': {}, 'f:name': {} },
                'k:{"name":"side"}': { '.': {}, 'f:image': {}, 'f:name': {} },
              },
            },
          },
        },
      },
      'kube-controller-manager/Update': {
        'f:metadata': { 'f:annotations': { '.': {}, 'f:deployment.kubernetes.io/revision': {} } },
        'f:status': { 'f:conditions': { '.': {}, 'k:{"type":"Progressing"}': { '.': {}, 'f:status': {}, 'f:type': {} } } },
      },
    });
  });
  test('an item goes with the last who owned it', () => {
    assert.deepEqual(server.apply('two', deploymentOf({ template: podTemplate([{ name: 'c', image: 'y' }]) })), []);
    const spec = specOf(server);
    assert.deepEqual(
      spec.template.spec.containers.map(({ name }) => name),
      ['c'],
    );
  });
  test('a scale is tracked for its subresource, and conflicts with whoever applies replicas', () => {
    server.update('hpa', (object) => void ((object['spec'] as Item)['replicas'] = 5), { subresource: 'scale' });
    assert.deepEqual(server.owners()['hpa/Update/scale'], { 'f:spec': { 'f:replicas': {} } });
    assert.equal(
      conflictError(server.apply('one', deploymentOf({ replicas: 1, template: podTemplate([first]) }))).message,
      'Apply failed with 2 conflicts: conflicts with "hpa" with subresource "scale" using apps/v1:\n- .spec.replicas\nconflicts with "two":\n- .spec.template.spec.containers[name="c"].image',
    );
  });
});

test('a field given up while nobody else owns it is removed; a default beside it too, with the struct it was in', () => {
  const server = new OneObject(deployment, 'apps/v1');
  server.apply('one', deploymentOf({ strategy: { type: 'RollingUpdate' }, template: podTemplate([]) }));
  // Defaulting is nobody's change.
  server.live = {
    ...(server.live ?? { metadata: {} }),
    spec: { ...(server.live?.['spec'] as Item), strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1 } } },
  };
  server.apply('one', deploymentOf({ template: podTemplate([]) }));
  assert.equal(Object.hasOwn(server.live['spec'] as Item, 'strategy'), false);
});

test('items keep the order they were applied in, live ones their place', () => {
  const server = new OneObject(deployment, 'apps/v1');
  const names = (): unknown[] => specOf(server).template.spec.containers.map(({ name }) => name);
  server.apply('one', deploymentOf({ template: podTemplate([{ name: 'a' }, { name: 'b' }]) }));
  server.apply('two', deploymentOf({ template: podTemplate([{ name: 'x' }]) }));
  assert.deepEqual(names(), ['a', 'b', 'x']);
  server.apply('one', deploymentOf({ template: podTemplate([{ name: 'b' }, { name: 'c' }, { name: 'a' }]) }));
  assert.deepEqual(new Set(names()), new Set(['a', 'b', 'c', 'x']));
  assert.deepEqual(
    names().filter((name) => name !== 'x'),
    ['b', 'c', 'a'],
  );
});

describe('times', () => {
  test("a manager's time moves only when it changes something", () => {
    const server = new OneObject(configMap, 'v1');
    server.apply('one', applied({ a: '1' }));
    server.apply('one', applied({ a: '1' }));
    assert.equal(server.timeOf('one'), hour(1));
    server.update('two', () => undefined);
    assert.equal(server.timeOf('two'), undefined);
    server.update('two', (object) => void (object['data'] = { a: '1', b: '2' }));
    server.update('one', (object) => void (object['data'] = { a: '1', b: '2', c: '3' }));
    assert.equal(server.timeOf('two'), hour(4));
    server.apply('one', applied({ a: '2' }));
    assert.equal(server.timeOf('one'), hour(6));
  });
});

describe('objects that were never applied', () => {
  const unmanaged = (): OneObject =>
    new OneObject(configMap, 'v1', { metadata: { name: 'ssa', uid: 'u', labels: { l: '1' } }, data: { a: '1', b: '2' } });

  test('an update starts no tracking where there was none', () => {
    const server = unmanaged();
    server.update('two', (object) => void (object['data'] = {}));
    assert.deepEqual(server.owners(), {});
  });
  test('the first apply finds their fields owned by before-first-apply', () => {
    const server = unmanaged();
    assert.equal(
      conflictError(server.apply('one', applied({ a: '2' }))).message,
      'Apply failed with 1 conflict: conflict with "before-first-apply" using v1: .data.a',
    );
    assert.deepEqual(server.apply('one', applied({ a: '1' })), []);
    assert.deepEqual(server.owners(), {
      one: { 'f:data': { 'f:a': {} }, ...labels },
      'before-first-apply/Update': { 'f:data': { '.': {}, 'f:a': {}, 'f:b': {} }, 'f:metadata': { 'f:labels': { '.': {}, 'f:l': {} } } },
    });
  });
});

describe('creating by another verb', () => {
  test('all of the object is owned but what is the server’s; what every object has is not', () => {
    const server = new OneObject(deployment, 'apps/v1');
    server.update('kubectl-create', (object) => {
      Object.assign(object, deploymentOf({ replicas: 1, strategy: { type: 'Recreate' }, template: podTemplate([{ name: 'c', image: 'x' }]) }));
      Object.assign(object.metadata, { uid: 'u', creationTimestamp: hour(1), resourceVersion: '1' });
    });
    assert.deepEqual(server.owners(), {
      'kubectl-create/Update': {
        'f:spec': {
          'f:replicas': {},
          'f:selector': {},
          'f:strategy': { 'f:type': {} },
          'f:template': {
            'f:metadata': { 'f:labels': { '.': {}, 'f:a': {} } },
            'f:spec': { 'f:containers': { 'k:{"name":"c"}': { '.': {}, 'f:image': {}, 'f:name': {} } } },
          },
        },
      },
    });
  });
});

describe('managedFields sent by the client', () => {
  test('one empty entry clears them', () => {
    const server = new OneObject(configMap, 'v1');
    server.apply('one', applied({ a: '1' }));
    server.update('two', (object) => void (object.metadata.managedFields = [{}]));
    assert.deepEqual(server.owners(), {});
  });
  test('an edited list is taken, a malformed one is not', () => {
    const server = new OneObject(configMap, 'v1');
    server.apply('one', applied({ a: '1' }));
    const [entry] = server.live?.metadata.managedFields ?? [];
    server.update('two', (object) => void (object.metadata.managedFields = [{ ...entry, manager: 'renamed' }]));
    assert.deepEqual(Object.keys(server.owners()), ['renamed']);
    server.update('two', (object) => void (object.metadata.managedFields = [{ ...entry, fieldsV1: { nonsense: {} } }]));
    assert.deepEqual(Object.keys(server.owners()), ['renamed']);
  });
  test('a subresource does not take them', () => {
    const server = new OneObject(configMap, 'v1');
    server.apply('one', applied({ a: '1' }));
    server.update('two', (object) => void (object.metadata.managedFields = []), { subresource: 'status' });
    assert.deepEqual(Object.keys(server.owners()), ['one']);
  });
  test('an empty list clears them too', () => {
    const server = new OneObject(configMap, 'v1');
    server.apply('one', applied({ a: '1' }));
    server.update('two', (object) => void (object.metadata.managedFields = []));
    assert.deepEqual(server.owners(), {});
  });
  test('an applied configuration must not have any', () => {
    const server = new OneObject(configMap, 'v1');
    assert.throws(
      () => server.apply('one', applied({}, { managedFields: [{ manager: 'x' }] })),
      new PatchError('metadata.managedFields must be nil', 'malformed'),
    );
  });
});

test('a crowd of updaters is merged, the oldest first', () => {
  const server = new OneObject(configMap, 'v1');
  for (let i = 0; i < 12; i++)
    server.update(
      `m${String(i).padStart(2, '0')}`,
      (object) => void (object['data'] = { ...(object['data'] as object | undefined), [`k${i}`]: 'v' }),
      { time: `2024-01-01T00:00:${10 + i}Z` },
    );
  const owners = server.owners();
  assert.equal(Object.keys(owners).length, 10);
  assert.deepEqual(owners['ancient-changes/Update'], { 'f:data': { '.': {}, 'f:k0': {}, 'f:k1': {}, 'f:k2': {} } });
});

test('kubectl takes over without force what it applied from the client’s side', () => {
  const server = new OneObject(configMap, 'v1');
  const config = applied({ a: '1' });
  server.update('kubectl-client-side-apply', (object) => {
    Object.assign(object, config, {
      metadata: { name: 'ssa', labels: { l: '1' }, annotations: { 'kubectl.kubernetes.io/last-applied-configuration': JSON.stringify(config) } },
    });
  });
  assert.equal(server.apply('other', applied({ a: '2' })).length, 1);
  assert.deepEqual(server.apply('kubectl', applied({ a: '2' })), []);
  assert.deepEqual(server.live?.['data'], { a: '2' });
  assert.match(JSON.stringify(server.live?.metadata['annotations']), /\\"a\\":\\"2\\"/);
});

test('an annotation that would be too large goes instead', () => {
  const server = new OneObject(configMap, 'v1');
  const config = applied({ a: '1' });
  const annotations = { 'kubectl.kubernetes.io/last-applied-configuration': JSON.stringify(config), other: '1' };
  server.update('kubectl', (object) => void Object.assign(object, config, { metadata: { name: 'ssa', labels: { l: '1' }, annotations } }));
  assert.deepEqual(server.apply('kubectl', applied({ a: 'x'.repeat(256 * 1024) })), []);
  assert.deepEqual(server.live?.metadata['annotations'], { other: '1' });
});

test('whoever applies what, everyone owns what they applied, all of it is there, and nothing is left when all give up', () => {
  const values = fc.dictionary(fc.constantFrom('a', 'b', 'c'), fc.constantFrom('1', '2'), { noNullPrototype: true });
  const step = fc.record({ manager: fc.constantFrom('one', 'two', 'three'), data: values });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 8 }), (steps) => {
      const server = new OneObject(configMap, 'v1');
      const config = (data: object): object => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'ssa' }, data });
      const applies = (manager: string, data: object): void => {
        assert.deepEqual(server.apply(manager, config(data), { force: true }), []);
        const once = server.live;
        assert.deepEqual(server.apply(manager, config(data)), [], 'no conflict with what it just took');
        assert.deepEqual(server.live, once, 'twice is once');
      };
      for (const { manager, data } of steps) {
        applies(manager, data);
        const live = (server.live?.['data'] ?? {}) as Record<string, string>;
        assert.deepEqual({ ...live, ...data }, live);
        const owned = Object.values(server.owners()).flatMap((set) => Object.keys((set as { 'f:data'?: object })['f:data'] ?? {}));
        assert.deepEqual(new Set(owned.filter((element) => element !== '.')), new Set(Object.keys(live).map((key) => `f:${key}`)));
      }
      for (const manager of ['one', 'two', 'three']) server.apply(manager, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'ssa' } });
      assert.deepEqual(server.owners(), {});
      assert.equal(server.live?.['data'], undefined);
    }),
    { numRuns: 100 },
  );
});

test('what changed since kubectl applied it from the client’s side still conflicts', () => {
  const server = new OneObject(configMap, 'v1');
  const config = applied({ a: '1', b: '1' });
  const annotations = { 'kubectl.kubernetes.io/last-applied-configuration': JSON.stringify(config) };
  server.update(
    'kubectl-client-side-apply',
    (object) => void Object.assign(object, config, { metadata: { name: 'ssa', labels: { l: '1' }, annotations } }),
  );
  server.update('editor', (object) => void (object['data'] = { a: 'edited', b: '1' }));
  assert.deepEqual(
    server.apply('kubectl', applied({ a: '2', b: '2' })).map(({ manager, field }) => [manager, field]),
    [['editor', '.data.a']],
  );
});

test('fields an endpoint does not write cannot be owned through it', () => {
  const server = new OneObject(deployment, 'apps/v1');
  server.apply('one', { ...deploymentOf({ template: podTemplate([]) }), status: { replicas: 3 } }, { resetFields: [['status']] });
  assert.equal(JSON.stringify(server.owners()).includes('f:status'), false);
});

describe('configurations refused', () => {
  const apply = (containers: readonly object[]) => () =>
    new OneObject(deployment, 'apps/v1').apply('one', deploymentOf({ template: podTemplate(containers) }));
  test('an item without its key', () => {
    assert.throws(
      apply([{ image: 'x' }]),
      new PatchError(
        '.spec.template.spec.containers: element 0: associative list with keys has an element that omits key field "name" (and doesn\'t have default value)',
        'malformed',
      ),
    );
  });
  test('two items with one key', () => {
    assert.throws(
      apply([{ name: 'c' }, { name: 'c' }]),
      new PatchError('.spec.template.spec.containers: duplicate entries for key [name="c"]', 'malformed'),
    );
  });
});

test('an applied null removes a scalar and leaves a map alone', () => {
  const server = new OneObject(deployment, 'apps/v1');
  server.update(
    'a',
    (object) => void Object.assign(object, deploymentOf({ replicas: 3, template: podTemplate([]) }), { metadata: { labels: { x: 'y' } } }),
  );
  server.apply('b', { metadata: { labels: null }, spec: { replicas: null } }, { force: true });
  assert.equal(Object.hasOwn(server.live?.['spec'] as Item, 'replicas'), false);
  assert.deepEqual(server.live?.metadata['labels'], { x: 'y' });
});
