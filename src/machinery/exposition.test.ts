import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Exposition, Histogram, labelText } from './exposition.ts';

test('a histogram counts a value in every bucket that is not below it', () => {
  const histogram = new Histogram([1, 2, 5]);
  for (const value of [0.5, 1, 1.5, 5, 6]) histogram.observe(value);
  const out = new Exposition();
  out.family('h', 'histogram', 'H.');
  out.histogram('h', 'a="b"', histogram);
  assert.equal(
    out.text(),
    '# HELP h H.\n# TYPE h histogram\nh_bucket{a="b",le="1"} 2\nh_bucket{a="b",le="2"} 3\nh_bucket{a="b",le="5"} 4\nh_bucket{a="b",le="+Inf"} 5\nh_sum{a="b"} 14\nh_count{a="b"} 5\n',
  );
});

test('samples and distributions belong to the family begun last, and may say when they were measured', () => {
  const histogram = new Histogram([1]);
  histogram.observe(2);
  const out = new Exposition().family('a', 'gauge', 'What.').sample({ path: 'x' }, 1.5, 1000.4).sample({}, 2);
  out.family('h', 'histogram', 'How many.').distribution({ of: 'x' }, histogram);
  const [, , ...lines] = out.all().filter((line) => !line.startsWith('# HELP h') && !line.startsWith('# TYPE h'));
  assert.deepEqual(lines, [
    'a{path="x"} 1.5 1000',
    'a 2',
    'h_bucket{of="x",le="1"} 0',
    'h_bucket{of="x",le="+Inf"} 1',
    'h_sum{of="x"} 2',
    'h_count{of="x"} 1',
  ]);
});

test('label values are escaped', () => assert.equal(labelText({ a: 'x"y\\z\n' }), 'a="x\\"y\\\\z\\n"'));
