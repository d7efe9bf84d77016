import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { parseLabelSelector } from '../../machinery/selector.ts';
import { encodeWhole, Entry } from './encoding.ts';
import { LabelIndexes } from './label-indexes.ts';
import { OrderedEntries } from './ordered-entries.ts';

function entryOf(name: string, labels: Readonly<Record<string, string>>): Entry {
  const { bytes } = encodeWhole({
    kind: 'ConfigMap',
    apiVersion: 'v1',
    metadata: { name, namespace: 'a', labels, uid: 'u', resourceVersion: '1', creationTimestamp: '' },
  });
  return new Entry({ path: `a/${name}`, revision: 1, createRevision: 1 }, bytes, undefined, true);
}

const name = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f');
const value = fc.constantFrom('1', '2', '3');
const step = fc.record({ name, labels: fc.option(fc.dictionary(fc.constantFrom('x', 'y'), value)) });

test('an index by label answers what looking at every object would, through any changes', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), fc.nat(30), (steps, askFrom) => {
      const all = new OrderedEntries();
      const byPath = new Map<string, Entry>();
      const indexes = new LabelIndexes(() => all.snapshot());
      for (const [count, { name: which, labels }] of steps.entries()) {
        const previous = byPath.get(`a/${which}`);
        if (labels !== null) {
          const entry = entryOf(which, labels);
          byPath.set(entry.path, entry);
          if (previous) all.replace(entry);
          else all.add(entry);
          indexes.put(entry, previous);
        } else if (previous) {
          byPath.delete(previous.path);
          all.remove(previous.path);
          indexes.remove(previous);
        }
        if (count < askFrom) continue;
        for (const text of ['x=1', 'x=1,y=2', 'x in (3)']) {
          const selector = parseLabelSelector(text);
          const matching = all.snapshot().filter((entry) => selector.matches(entry.labels));
          const found = indexes.narrowed(selector, Infinity) ?? [];
          assert.deepEqual(
            found.filter((entry) => selector.matches(entry.labels)),
            matching,
          );
        }
      }
    }),
    { numRuns: 150 },
  );
});

test('no label helps with a selector that names no value, or when all have the value', () => {
  const all = new OrderedEntries(['a', 'b'].map((which) => entryOf(which, { x: '1' })));
  const indexes = new LabelIndexes(() => all.snapshot());
  for (const text of ['x', '!x', 'x!=1', 'x notin (1)', 'x in (1,2)', 'x>0', 'x=1']) {
    assert.equal(indexes.narrowed(parseLabelSelector(text), 2), undefined, text);
  }
  assert.deepEqual(indexes.narrowed(parseLabelSelector('x=2'), 2), []);
});
