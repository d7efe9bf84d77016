import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { KubeObject } from '../../machinery/object.ts';
import type { Encoded, ListAnswer } from '../request.ts';
import { sendLargeBody } from './large-body.ts';
import { listBytes, Unjoined } from './list-bytes.ts';
import { slowResponse } from './slow-response.ts';

/** An item of so many bytes, which say which one it is. */
function item(index: number, length: number): Encoded {
  const metadata = { name: 'x'.repeat(length), uid: String(index), resourceVersion: '7', creationTimestamp: '2026-01-01T00:00:00Z' };
  const object: KubeObject = { apiVersion: 'v1', kind: 'ConfigMap', metadata };
  return { object, bytes: Buffer.from(JSON.stringify(object)) };
}

function listOf(items: readonly Encoded[]): ListAnswer {
  return { type: 'list', kind: 'ConfigMapList', apiVersion: 'v1', metadata: { resourceVersion: '7' }, items };
}

function expected({ kind, apiVersion, metadata, items }: ListAnswer): string {
  return JSON.stringify({ kind, apiVersion, metadata, items: items.map(({ object }) => object) });
}

test('lists that are sent at the same time do not get into each other, however slowly their clients read', () => {
  const lists = [1, 2, 3].map((mark) => listOf(Array.from({ length: 400 }, (_, i) => item(mark * 1_000 + i, 1_000 * mark))));
  // Twice, so that the second time buffers of the first are used again.
  for (let round = 0; round < 2; round++) {
    const sending = lists.map((list) => {
      const response = slowResponse();
      const body = listBytes({ ...list, items: [...list.items] });
      assert.ok(body instanceof Unjoined);
      sendLargeBody(response, body);
      return { list, response };
    });
    for (let isBusy = true; isBusy;) isBusy = sending.map(({ response }) => response.takeOne()).includes(true);
    for (const { list, response } of sending) {
      assert.equal(response.received(), expected(list));
      assert.equal(response.writableEnded, true);
    }
  }
});

test('a body in one piece arrives as it is, at, below and above the length of a piece', () => {
  for (const length of [512 * 1024 - 1, 512 * 1024, 512 * 1024 + 1, 2 * 512 * 1024]) {
    const response = slowResponse();
    const bytes = Buffer.alloc(length, 'ab');
    sendLargeBody(response, bytes);
    while (response.takeOne());
    assert.equal(response.received(), bytes.toString());
    assert.equal(response.writableEnded, true);
  }
});

test('a list asked for again is the same bytes in one piece', () => {
  const list = listOf([item(1, 10), item(2, 20)]);
  const first = listBytes(list);
  assert.ok(first instanceof Unjoined);
  const second = listBytes(list);
  assert.ok(second instanceof Uint8Array);
  assert.equal(Buffer.from(second).toString(), expected(list));
  assert.equal(listBytes(list), second);
  assert.notEqual(listBytes({ ...list, metadata: { resourceVersion: '8' } }), second);
});

test('the parts of a body come out in order through buffers of any size', () => {
  const parts = fc.array(fc.uint8Array({ maxLength: 20 }), { maxLength: 20 });
  fc.assert(
    fc.property(parts, fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 10 }), (bytes, sizes) => {
      const body = new Unjoined(bytes);
      const whole = Buffer.concat(bytes);
      assert.deepEqual(Buffer.from(body.joined()), whole);
      const read = body.reader();
      const seen: Buffer[] = [];
      for (let i = 0, left = body.length; left > 0; i++) {
        const target = Buffer.alloc(sizes[i % sizes.length] ?? 1);
        const length = read(target);
        assert.ok(length > 0);
        seen.push(target.subarray(0, length));
        left -= length;
      }
      assert.deepEqual(Buffer.concat(seen), whole);
    }),
    { numRuns: 200 },
  );
});
