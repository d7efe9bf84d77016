import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Node } from '../../api/kinds.ts';
import type { EndpointGroup } from './slices.ts';
import { withTopologyHints, zoneCapacity } from './topology-hints.ts';

function node(zone: string | undefined, cpu: string, ready = 'True', labels: Record<string, string> = {}): Node {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name: `in-${zone}`,
      uid: 'u',
      resourceVersion: '1',
      creationTimestamp: '',
      labels: { ...labels, ...(zone !== undefined && { 'topology.kubernetes.io/zone': zone }) },
    },
    spec: {},
    status: { allocatable: { cpu }, conditions: [{ type: 'Ready', status: ready, reason: '', message: '' }] },
  };
}

/** Ready endpoints, so many in each zone. */
function group(counts: Readonly<Record<string, number>>, ready = true): EndpointGroup {
  const endpoints = Object.entries(counts).flatMap(([zone, count]) =>
    Array.from({ length: count }, (_, i) => ({ addresses: [`10.0.${zone}.${i}`], zone, conditions: { ready } })),
  );
  return { addressType: 'IPv4', ports: [], endpoints };
}

function hintsOf(groups: readonly EndpointGroup[], nodes: readonly Node[]): Record<string, number> | string {
  const answer = withTopologyHints(groups, zoneCapacity(nodes));
  if ('refusal' in answer) return answer.refusal;
  const counts: Record<string, number> = {};
  for (const { endpoints } of answer.groups)
    for (const { hints } of endpoints) for (const { name } of hints?.forZones ?? []) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

function refusalOf(hints: Record<string, number> | string): string {
  assert.ok(typeof hints === 'string', `hints were given: ${JSON.stringify(hints)}`);
  return hints;
}

describe('zones and the endpoints they are given', () => {
  it('are alike when processors and endpoints are', () => {
    assert.deepEqual(hintsOf([group({ a: 3, b: 3 })], [node('a', '4'), node('b', '4')]), { a: 3, b: 3 });
  });
  it('follow the processors, not where the endpoints are', () => {
    assert.deepEqual(hintsOf([group({ a: 9, b: 0 })], [node('a', '2'), node('b', '4')]), { a: 4, b: 5 });
    assert.deepEqual(hintsOf([group({ c: 4 })], [node('a', '1'), node('b', '1')]), { a: 2, b: 2 });
  });
  it('bear a little unevenness', () => {
    assert.deepEqual(hintsOf([group({ a: 6, b: 5 })], [node('a', '4'), node('b', '4')]), { a: 6, b: 5 });
  });
  it('count groups of different ports together, and only what is ready', () => {
    assert.deepEqual(hintsOf([group({ a: 2 }), group({ b: 2 }), group({ a: 5 }, false)], [node('a', '4'), node('b', '4')]), { a: 2, b: 2 });
  });
  it('are not named when that would not be safe', () => {
    const two = [node('a', '4'), node('b', '4')];
    assert.match(refusalOf(hintsOf([group({ a: 3, b: 3 })], [...two, node(undefined, '1')])), /^Insufficient Node information/);
    assert.match(refusalOf(hintsOf([group({ a: 3, b: 3 })], [node('a', '4')])), /^Nodes only ready in one zone/);
    assert.match(refusalOf(hintsOf([group({ a: 3, b: 3 })], [node('a', '4'), node('b', '4', 'False')])), /^Nodes only ready in one zone/);
    assert.match(refusalOf(hintsOf([group({ a: 1 })], two)), /^Insufficient number of endpoints/);
    assert.match(refusalOf(hintsOf([group({ a: 1, b: 1 })], [node('a', '8'), node('b', '1'), node('c', '1')])), /^Insufficient number/);
    assert.match(refusalOf(hintsOf([group({ a: 3 })], [node('a', '8'), node('b', '1')])), /^Unable to allocate minimum required endpoints/);
  });
  it('leave out nodes of the control plane', () => {
    const control = node('c', '4', 'True', { 'node-role.kubernetes.io/control-plane': '' });
    assert.deepEqual(hintsOf([group({ a: 1, b: 1 })], [node('a', '4'), node('b', '4'), control]), { a: 1, b: 1 });
  });
  it('never get less than their processors need, nor does any endpoint serve nobody', () => {
    const sizes = fc.array(fc.nat(12), { minLength: 2, maxLength: 4 });
    fc.assert(
      fc.property(sizes, fc.array(fc.integer({ min: 1, max: 64 }), { minLength: 2, maxLength: 4 }), (endpoints, cpus) => {
        const counts = Object.fromEntries(endpoints.map((count, zone) => [`z${zone}`, count]));
        const nodes = cpus.map((cpu, zone) => node(`z${zone}`, String(cpu)));
        const hints = hintsOf([group(counts)], nodes);
        if (typeof hints === 'string') return;
        const total = endpoints.reduce((sum, count) => sum + count, 0);
        const allCpus = cpus.reduce((sum, cpu) => sum + cpu, 0);
        assert.equal(
          Object.values(hints).reduce((sum, count) => sum + count, 0),
          total,
        );
        for (const [zone, cpu] of cpus.entries()) {
          const share = (cpu / allCpus) * total;
          assert.ok(share / (hints[`z${zone}`] ?? 0) <= 1.2 + 1e-6, `zone ${zone} is overloaded: ${JSON.stringify({ counts, cpus, hints })}`);
        }
      }),
      { numRuns: 500 },
    );
  });
});
