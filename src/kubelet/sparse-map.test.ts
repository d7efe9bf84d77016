import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { SparseMap } from './sparse-map.ts';

test('a sparse map holds what a map holds', () => {
  const key = fc.constantFrom('a', 'b', 'c');
  const step = fc.oneof(
    fc.record({ act: fc.constant('set' as const), key, value: fc.nat(9) }),
    fc.record({ act: fc.constant('delete' as const), key }),
    fc.record({ act: fc.constant('clear' as const) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
      const [sparse, map] = [new SparseMap<string, number>(), new Map<string, number>()];
      for (const each of steps) {
        if (each.act === 'set') [sparse, map].forEach((either) => void either.set(each.key, each.value));
        else if (each.act === 'delete') [sparse, map].forEach((either) => void either.delete(each.key));
        else [sparse, map].forEach((either) => either.clear());
        assert.equal(sparse.size, map.size);
        assert.deepEqual([...sparse.keys()], [...map.keys()]);
        assert.deepEqual([...sparse.values()], [...map.values()]);
        for (const name of ['a', 'b', 'c']) assert.deepEqual([sparse.has(name), sparse.get(name)], [map.has(name), map.get(name)]);
      }
    }),
  );
});

test('what is taken out while going through it was gone through', () => {
  const sparse = new SparseMap<string, number>();
  for (const name of ['a', 'b']) sparse.set(name, 1);
  for (const name of sparse.keys()) sparse.delete(name);
  assert.equal(sparse.size, 0);
});
