import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConfigMap, Pod, PriorityClass } from '../api/kinds.ts';
import type { Kind } from '../api/kind.ts';
import { isReason } from '../machinery/errors.ts';
import type { KubeObject } from '../machinery/object.ts';
import { includeObjectOf, metadataOnly, tableOf } from './table.ts';

const created = Date.parse('2026-01-01T00:00:00Z');
const options = { includeObject: 'Metadata', version: 'v1', nowMs: created + 90_000 } as const;

function bare<T extends KubeObject>(kind: Kind<T>, rest: object = {}): KubeObject {
  const metadata = { name: 'x', namespace: 'default', uid: 'u', resourceVersion: '7', creationTimestamp: '2026-01-01T00:00:00Z' };
  return { apiVersion: kind.group === '' ? kind.version : `${kind.group}/${kind.version}`, kind: kind.kind, metadata, ...rest };
}

test("a row has the cells of the kind's columns and the object's metadata", () => {
  const map = bare(ConfigMap, { data: { a: '1' } });
  const table = tableOf(ConfigMap, [map], { resourceVersion: '9' }, options);
  assert.equal(table.kind, 'Table');
  assert.equal(table.apiVersion, 'meta.k8s.io/v1');
  assert.deepEqual(table.metadata, { resourceVersion: '9' });
  assert.deepEqual(
    table.columnDefinitions?.map(({ name, type, format }) => [name, type, format]),
    [
      ['Name', 'string', 'name'],
      ['Data', 'string', ''],
      ['Age', 'string', ''],
    ],
  );
  assert.deepEqual(table.rows, [
    { cells: ['x', 1, '90s'], object: { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: map.metadata } },
  ]);
});

test('the whole object or none, when asked for', () => {
  const map = bare(ConfigMap);
  assert.equal(tableOf(ConfigMap, [map], {}, { ...options, includeObject: 'Object' }).rows[0]?.object, map);
  assert.equal(tableOf(ConfigMap, [map], {}, { ...options, includeObject: 'None' }).rows[0]?.object, null);
  assert.equal(includeObjectOf(new URLSearchParams()), 'Metadata');
  assert.throws(
    () => includeObjectOf(new URLSearchParams('includeObject=All')),
    (error: unknown) => isReason(error, 'BadRequest'),
  );
});

test('a kind without columns of its own shows name and age', () => {
  const table = tableOf({ ...(PriorityClass as Kind), columns: [] }, [bare(PriorityClass)], {}, options);
  assert.deepEqual(table.rows[0]?.cells, ['x', '90s']);
});

test('metadata only drops everything else', () => {
  const pod = bare(Pod, { spec: { containers: [] } });
  assert.deepEqual(metadataOnly(pod, 'v1beta1'), { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1beta1', metadata: pod.metadata });
});
