import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { KubeObject } from '../machinery/object.ts';
import { parseLabelSelector } from '../machinery/selector.ts';
import { decideClaim } from './adoption.ts';

function thing(name: string, labels: Record<string, string>, controller?: string, deletionTimestamp?: string): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'Thing',
    metadata: {
      name,
      uid: name,
      resourceVersion: '1',
      creationTimestamp: '2026-01-01T00:00:00Z',
      labels,
      ...(controller !== undefined && {
        ownerReferences: [{ apiVersion: 'v1', kind: 'Owner', name: controller, uid: controller, controller: true }],
      }),
      ...(deletionTimestamp !== undefined && { deletionTimestamp }),
    },
  };
}

const mine = { app: 'web' };
const other = { app: 'db' };
const now = '2026-01-01T00:00:00Z';

describe('a controller and what matches its selector', () => {
  const claimed = (owner: KubeObject, ...candidates: KubeObject[]): string[][] => {
    const { keep, adopt, release } = decideClaim(owner, parseLabelSelector('app=web'), candidates);
    return [keep, adopt, release].map((list) => list.map(({ metadata }) => metadata.name));
  };
  const owner = thing('me', {});
  const leaving = thing('me', {}, undefined, now);

  const cases: readonly [string, owner: KubeObject, candidate: KubeObject, string[][]][] = [
    ['keeps its own', owner, thing('x', mine, 'me'), [['x'], [], []]],
    ['adopts an orphan', owner, thing('x', mine), [[], ['x'], []]],
    ['releases what no longer matches', owner, thing('x', other, 'me'), [[], [], ['x']]],
    ["leaves another's alone", owner, thing('x', mine, 'you'), [[], [], []]],
    ['leaves strangers alone', owner, thing('x', other), [[], [], []]],
    ['adopts nothing that is going', owner, thing('x', mine, undefined, now), [[], [], []]],
    ['adopts nothing while it is going itself', leaving, thing('x', mine), [[], [], []]],
    ['releases nothing while it is going itself', leaving, thing('x', other, 'me'), [[], [], []]],
  ];
  for (const [name, who, candidate, expected] of cases) it(name, () => assert.deepEqual(claimed(who, candidate), expected));
});
