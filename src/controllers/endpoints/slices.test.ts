import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { EndpointSlice } from '../../api/kinds.ts';
import type { V1Endpoint } from '../../api/types.ts';
import { type EndpointGroup, type SlicePlan, planSlices } from './slices.ts';

const labels = { 'kubernetes.io/service-name': 'web' };
const ports = [{ name: '', port: 80, protocol: 'TCP' }];
const largest = 100;

function endpoint(number: number, ready = true): V1Endpoint {
  return { addresses: [`10.0.${number >> 8}.${number & 255}`], conditions: { ready }, targetRef: { uid: `u${number}` } };
}

function group(endpoints: V1Endpoint[]): EndpointGroup {
  return { addressType: 'IPv4', ports, endpoints };
}

let made = 0;
function carriedOut(existing: readonly EndpointSlice[], { create, update, delete: gone }: SlicePlan): EndpointSlice[] {
  const changed = new Map(update.map((slice) => [slice.metadata.name, slice]));
  return [
    ...existing.filter((slice) => !gone.includes(slice)).map((slice) => changed.get(slice.metadata.name) ?? slice),
    ...create.map((content): EndpointSlice => {
      const name = `web-${++made}`;
      return {
        apiVersion: 'discovery.k8s.io/v1',
        kind: 'EndpointSlice',
        metadata: { name, namespace: 'default', uid: name, resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z', labels },
        ...content,
      };
    }),
  ];
}

const writes = ({ create, update, delete: gone }: SlicePlan): number => create.length + update.length + gone.length;

describe('endpoint slices', () => {
  it('are one, empty, where there are no endpoints', () => {
    const plan = planSlices([], [{ addressType: 'IPv4', ports: [], endpoints: [] }], labels, largest);
    assert.deepEqual(plan.create, [{ addressType: 'IPv4', ports: [], endpoints: [] }]);
    assert.equal(writes(planSlices(carriedOut([], plan), [{ addressType: 'IPv4', ports: [], endpoints: [] }], labels, largest)), 0);
  });

  it('change in one write when one endpoint does', () => {
    const all = Array.from({ length: 150 }, (_, i) => endpoint(i));
    const slices = carriedOut([], planSlices([], [group(all)], labels, largest));
    assert.deepEqual(
      slices.map((slice) => slice.endpoints?.length),
      [100, 50],
    );
    const plan = planSlices(slices, [group([...all.slice(0, 149), endpoint(149, false)])], labels, largest);
    assert.deepEqual([plan.create.length, plan.update.length, plan.delete.length], [0, 1, 0]);
  });

  it('hold as many as is said', () => {
    const all = Array.from({ length: 7 }, (_, i) => endpoint(i));
    const sizes = (most: number): unknown => planSlices([], [group(all)], labels, most).create.map(({ endpoints }) => endpoints.length);
    assert.deepEqual([sizes(8), sizes(7), sizes(6), sizes(1)], [[7], [7], [6, 1], [1, 1, 1, 1, 1, 1, 1]]);
    const slices = carriedOut([], planSlices([], [group(all)], labels, 100));
    const halved = carriedOut(slices, planSlices(slices, [group(all)], labels, 4));
    assert.deepEqual(
      halved.map((slice) => slice.endpoints?.length),
      [4, 3],
      'what is too many for one moves on',
    );
  });

  it('put a new endpoint where another left', () => {
    const slices = carriedOut([], planSlices([], [group([endpoint(1), endpoint(2)])], labels, largest));
    const plan = planSlices(slices, [group([endpoint(2), endpoint(3)])], labels, largest);
    assert.deepEqual([plan.create.length, plan.update.length, plan.delete.length], [0, 1, 0]);
  });

  it('are kept apart by their ports, and those of ports no longer used go', () => {
    const other: EndpointGroup = { addressType: 'IPv4', ports: [{ name: '', port: 81, protocol: 'TCP' }], endpoints: [endpoint(2)] };
    const slices = carriedOut([], planSlices([], [group([endpoint(1)]), other], labels, largest));
    assert.equal(slices.length, 2);
    assert.equal(planSlices(slices, [group([endpoint(1), endpoint(2)])], labels, largest).delete.length, 1);
  });

  it('hold every endpoint once, never too many, and are then left alone', () => {
    const numbers = fc.uniqueArray(fc.integer({ min: 0, max: 700 }), { maxLength: 350 });
    fc.assert(
      fc.property(numbers, numbers, (before, after) => {
        const first = carriedOut([], planSlices([], [group(before.map((number) => endpoint(number)))], labels, largest));
        const wanted = [group(after.map((number) => endpoint(number)))];
        const slices = carriedOut(first, planSlices(first, wanted, labels, largest));
        const held = slices.flatMap((slice) => slice.endpoints ?? []).map(({ targetRef }) => Number(targetRef?.uid?.slice(1)));
        assert.deepEqual(
          held.sort((a, b) => a - b),
          [...after].sort((a, b) => a - b),
        );
        assert.ok(slices.every((slice) => (slice.endpoints ?? []).length <= 100));
        assert.equal(writes(planSlices(slices, wanted, labels, largest)), 0);
      }),
      { numRuns: 50 },
    );
  });
});
