import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Secret, ServiceAccount } from '../../api/kinds.ts';
import { timestamp } from '../../world/world.ts';
import { judge, type TokenCase } from './legacy-token-cleaner.ts';

const dayMs = 24 * 60 * 60_000;
const nowMs = Date.parse('2028-03-01T12:00:00Z');
const day = (ago: number): string => timestamp(nowMs - ago * dayMs).slice(0, 10);
const lastUsed = 'kubernetes.io/legacy-token-last-used';
const invalidSince = 'kubernetes.io/legacy-token-invalid-since';

const account: ServiceAccount = {
  apiVersion: 'v1',
  kind: 'ServiceAccount',
  metadata: { name: 'robot', namespace: 'default', uid: 'a', resourceVersion: '1', creationTimestamp: '2020-01-01T00:00:00Z' },
  secrets: [{ name: 'robot-token' }],
};

function token(labels: Record<string, string> = {}, ageDays = 1000): Secret {
  const annotations = { 'kubernetes.io/service-account.name': 'robot' };
  const creationTimestamp = timestamp(nowMs - ageDays * dayMs);
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'robot-token', namespace: 'default', uid: 's', resourceVersion: '1', creationTimestamp, labels, annotations },
    type: 'kubernetes.io/service-account-token',
  };
}

describe('a token that was made for an account unasked', () => {
  const usual = { account, isMounted: false, trackedSince: day(800), nowMs, periodMs: 365 * dayMs };
  const cases: readonly [name: string, change: Partial<TokenCase> & { secret: Secret }, expected: string][] = [
    ['never used while anybody looked', { secret: token() }, 'mark'],
    ['last used longer ago than the period', { secret: token({ [lastUsed]: day(366) }) }, 'mark'],
    ['last used as long ago as the period', { secret: token({ [lastUsed]: day(365) }) }, 'keep'],
    ['never used, but nobody looked for so long', { secret: token(), trackedSince: day(365) }, 'keep'],
    ['made within the period', { secret: token({}, 365) }, 'keep'],
    ['used at a time nobody can read', { secret: token({ [lastUsed]: 'yesterday' }) }, 'keep'],
    ['mounted by a pod', { secret: token(), isMounted: true }, 'keep'],
    ['asked for: the account does not name it', { secret: token(), account: { ...account, secrets: [] } }, 'keep'],
    ['whose account is gone', { secret: token(), account: undefined }, 'keep'],
    ['marked less than the period ago', { secret: token({ [invalidSince]: day(365) }) }, 'keep'],
    ['marked longer ago than that', { secret: token({ [invalidSince]: day(366) }) }, 'delete'],
    ['with a mark that says nothing', { secret: token({ [invalidSince]: 'true' }) }, 'mark'],
    ['marked long ago, used since', { secret: token({ [invalidSince]: day(500), [lastUsed]: day(3) }) }, 'keep'],
  ];
  for (const [name, change, expected] of cases) it(`${name}: ${expected}`, () => assert.equal(judge({ ...usual, ...change }), expected));
});
