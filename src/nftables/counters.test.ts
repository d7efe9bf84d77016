import assert from 'node:assert/strict';
import { test } from 'node:test';
import { countersOf } from './counters.ts';

test('counters are read from what nft prints, whatever else it says', () => {
  const metainfo = { metainfo: { version: '1.0.6', json_schema_version: 1 } };
  const counter = { family: 'inet', name: 'denied-in/shop/closed', table: 't', handle: 4, packets: 3, bytes: 180 };
  assert.deepEqual(
    countersOf(JSON.stringify({ nftables: [metainfo, { counter }] })),
    new Map([['denied-in/shop/closed', { packets: 3, bytes: 180 }]]),
  );
  assert.deepEqual(countersOf('{"nftables": []}'), new Map());
});
