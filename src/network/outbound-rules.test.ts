import assert from 'node:assert/strict';
import { test } from 'node:test';
import { outboundRules } from './outbound-rules.ts';

const clusterCidr = '10.244.0.0/16,fd00:1::/56';
const options = { table: 't', bridge: 'br', clusterCidr };

test('what pods send to the world goes as the node, in the table of its family', () => {
  const rules = outboundRules({ ...options, podCidrs: ['10.244.1.0/24', 'fd00:1:0:1::/64'] });
  assert.match(
    rules,
    /table ip t \{\n.*\n +ip saddr 10\.244\.1\.0\/24 ip daddr != \{ 10\.244\.0\.0\/16, 224\.0\.0\.0\/4 \} oifname != "br" masquerade/,
  );
  assert.match(rules, /table ip6 t \{\n.*\n +ip6 saddr fd00:1:0:1::\/64 ip6 daddr != \{ fd00:1::\/56, ff00::\/8 \} oifname != "br" masquerade/);
});

test('a node of one family has one table, whatever the cluster has', () => {
  assert.doesNotMatch(outboundRules({ ...options, podCidrs: ['10.244.1.0/24'] }), /ip6/);
});
