import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Fixture } from '../verbs/fixture.ts';
import { widgets, widgetVersion } from './test-definitions.ts';

const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const path = '/apis/example.com/v1/namespaces/a/widgets';

/** Values that look as if they belonged there, mostly. */
const keys = fc.constantFrom('size', 'colour', 'ports', 'tags', 'labels', 'free', 'port', 'when', 'name', '__proto__', 'constructor', 'x');
const { value } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom<unknown>(null, true, 0, -1, 1.5, 1e300, '', 'a', 'red', '2024-01-01T00:00:00Z', '\u0000', '😀'),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(keys, tie('value'), { maxKeys: 4 }),
  ),
}));

const schemaKeys = fc.constantFrom(
  'type',
  'properties',
  'items',
  'additionalProperties',
  'default',
  'enum',
  'pattern',
  'format',
  'required',
  'anyOf',
  'not',
  'nullable',
  'maximum',
  'x-kubernetes-list-type',
  'x-kubernetes-list-map-keys',
  'x-kubernetes-validations',
  'x-kubernetes-preserve-unknown-fields',
  'x-kubernetes-int-or-string',
);
const { schema } = fc.letrec<{ schema: unknown }>((tie) => ({
  schema: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom<unknown>(null, true, 3, 'object', 'array', 'string', 'map', '(', '^a', { rule: 'self.' }, { rule: 'self.x > 1' }),
    fc.array(tie('schema'), { maxLength: 2 }),
    fc.dictionary(schemaKeys, tie('schema'), { maxKeys: 4 }),
    fc.record({ type: fc.constant('object'), properties: fc.dictionary(keys, tie('schema'), { maxKeys: 3 }) }),
  ),
}));

async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
}

test('no object makes the server fail', async () => {
  const fixture = await Fixture.open();
  await fixture.post(definitions, widgets());
  await settle();
  await fixture.post(path, { metadata: { name: 'there' }, spec: { size: 1 } });
  await fc.assert(
    fc.asyncProperty(value, value, async (spec, metadata) => {
      for (const reply of [
        await fixture.post(path, { metadata: { name: 'new' }, spec, status: spec }),
        await fixture.post(path, { metadata, spec }),
        await fixture.patch(`${path}/there`, { spec }),
        await fixture.apply(`${path}/there?force=true`, 'fuzz', { apiVersion: 'example.com/v1', kind: 'Widget', spec }),
        await fixture.patch(`${path}/there/status`, { status: spec }),
        await fixture.patch(`${path}/there/scale`, { spec }),
      ]) {
        assert.ok(reply.code < 500, JSON.stringify(reply.body));
      }
      await fixture.delete(`${path}/new`);
    }),
    { numRuns: 150 },
  );
  await fixture.close();
});

test('no definition makes the server fail, nor an object of one', async () => {
  const fixture = await Fixture.open();
  await fc.assert(
    fc.asyncProperty(schema, value, value, async (spec, columns, object) => {
      const version = widgetVersion();
      Object.assign(version.schema.openAPIV3Schema.properties, { spec });
      const usual = await fixture.post(definitions, widgets([version]));
      const odd = { ...widgetVersion(), additionalPrinterColumns: columns, subresources: columns, selectableFields: columns };
      const other = await fixture.post(`${definitions}?dryRun=All`, {
        ...widgets(),
        spec: { ...widgets().spec, versions: [odd, columns], names: columns },
      });
      await settle();
      const written = await fixture.post(path, { metadata: { name: 'x' }, spec: object });
      const read = await fixture.get(path);
      for (const { code, body } of [usual, other, written, read]) assert.ok(code < 500, JSON.stringify(body));
      await fixture.delete(`${definitions}/widgets.example.com`);
      await settle();
    }),
    { numRuns: 200 },
  );
  await fixture.close();
});
