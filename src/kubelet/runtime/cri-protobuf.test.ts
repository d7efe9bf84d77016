import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  boolean,
  bytes,
  enumeration,
  integer,
  integers,
  message,
  nested,
  ProtobufError,
  repeated,
  string,
  stringMap,
  strings,
} from './cri-protobuf.ts';

const Inner = message({ text: string(1) });
const Everything = message({
  text: string(1),
  data: bytes(2),
  count: integer(3),
  flag: boolean(4),
  mode: enumeration(5, ['POD', 'CONTAINER', 'NODE']),
  inner: nested(6, Inner),
  words: strings(7),
  numbers: integers(8),
  inners: repeated(9, Inner),
  labels: stringMap(16),
});

describe('a message', () => {
  test('comes back as it was written', () => {
    const value = {
      text: 'grüße',
      data: Buffer.from([0, 255]),
      count: -1,
      flag: true,
      mode: 'NODE',
      inner: { text: '' },
      words: ['a', '', 'b'],
      numbers: [0, 1, 300, -5],
      inners: [{ text: 'x' }, { text: 'y' }],
      labels: { 'app.kubernetes.io/name': 'web', empty: '' },
    } as const;
    assert.deepEqual(Everything.decode(Everything.encode(value)), value);
  });

  test('without fields has their zero values, and no nested message', () => {
    const zero = {
      text: '',
      data: Buffer.alloc(0),
      count: 0,
      flag: false,
      mode: 'POD',
      inner: undefined,
      words: [],
      numbers: [],
      inners: [],
      labels: {},
    };
    assert.deepEqual(Everything.decode(Buffer.alloc(0)), zero);
  });

  test('is encoded as the specification shows', () => {
    assert.equal(
      message({ a: integer(1) })
        .encode({ a: 150 })
        .toString('hex'),
      '089601',
    );
    assert.equal(
      message({ b: string(2) })
        .encode({ b: 'testing' })
        .toString('hex'),
      '120774657374696e67',
    );
  });

  test('keeps numbers up to 2^53, and of larger ones what a double can', () => {
    const Number64 = message({ n: integer(1) });
    for (const n of [1, 127, 128, 2 ** 31, 2 ** 32, 2 ** 53, -(2 ** 40), 1_790_000_000_123 * 1_000_000]) {
      assert.equal(Number64.decode(Number64.encode({ n })).n, n);
    }
  });

  test('skips fields it does not know', () => {
    const newer = message({ text: string(1), added: string(100), more: integer(101) });
    const decoded = message({ text: string(1) }).decode(newer.encode({ text: 'known', added: 'unknown', more: 7 }));
    assert.deepEqual(decoded, { text: 'known' });
  });

  test('that is cut short is an error', () => {
    assert.throws(() => Everything.decode(Buffer.from([0x0a, 5, 65])), ProtobufError);
    assert.throws(() => Everything.decode(Buffer.from([0x18, 0x80])), ProtobufError);
  });
});
