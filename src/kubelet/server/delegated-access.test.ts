import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { Client } from '../../client/client.ts';
import { createClient } from '../../client/typed-client.ts';
import { simulatedWorld } from '../../world/simulated.ts';
import { attributesOf } from './caller.ts';
import { delegatedAccess } from './delegated-access.ts';

interface Asked {
  readonly path: string;
  readonly spec: Record<string, unknown>;
}

/** An API server that lets Jane see `nodes/metrics` and Joe everything of nodes. */
function reviewer(asked: Asked[]): Client {
  return createClient({
    shared: true,
    close: () => undefined,
    // oxlint-disable-next-line require-await -- an answer over a wire comes later
    async request({ path, body }) {
      const { spec } = body as { spec: Record<string, unknown> };
      asked.push({ path, spec });
      if (path.endsWith('tokenreviews')) {
        const user = { username: 'jane', uid: '7', groups: ['dev'] };
        return { status: spec['token'] === 'good' ? { authenticated: true, user } : { authenticated: false } };
      }
      const { subresource } = spec['resourceAttributes'] as { subresource: string };
      return { status: { allowed: spec['user'] === 'joe' ? subresource === 'proxy' : subresource === 'metrics' } };
    },
    watch: () => {
      throw new Error('nobody watches reviews');
    },
  });
}

it('a token is asked about once in a while', async () => {
  const [world, asked] = [simulatedWorld(1), [] as Asked[]];
  const access = delegatedAccess(reviewer(asked), world, 'n');
  assert.deepEqual(await access.callerOfToken('good'), { name: 'jane', uid: '7', groups: ['dev'] });
  assert.equal(await access.callerOfToken('bad'), undefined);
  await access.callerOfToken('good');
  assert.equal(asked.length, 2);
  await world.advance(121_000);
  await access.callerOfToken('good');
  assert.equal(asked.length, 3);
});

it('each page is a subresource of the node, and proxy stands for those that have none of their own', async () => {
  const asked: Asked[] = [];
  const access = delegatedAccess(reviewer(asked), simulatedWorld(1), 'n');
  const may = (name: string, path: string, method = 'GET'): Promise<boolean> => access.authorize({ name, groups: [] }, attributesOf(method, path));
  assert.deepEqual(await Promise.all(['/metrics', '/metrics/cadvisor', '/stats/summary', '/pods', '/exec/a/b/c'].map((path) => may('jane', path))), [
    true,
    true,
    false,
    false,
    false,
  ]);
  assert.deepEqual(await Promise.all(['/pods', '/healthz', '/run/a/b/c', '/stats/summary'].map((path) => may('joe', path))), [
    true,
    true,
    true,
    false,
  ]);
  assert.deepEqual(asked[0]?.spec, {
    user: 'jane',
    groups: [],
    resourceAttributes: { verb: 'get', version: 'v1', resource: 'nodes', subresource: 'metrics', name: 'n' },
  });
  assert.equal(await access.authorize({ name: 'root', groups: ['system:masters'] }, attributesOf('POST', '/exec/a/b/c')), true);
});

it('what is refused is asked again sooner than what is allowed', async () => {
  const [world, asked] = [simulatedWorld(1), [] as Asked[]];
  const access = delegatedAccess(reviewer(asked), world, 'n');
  const ask = async (): Promise<void> => {
    for (const path of ['/metrics', '/stats/summary']) await access.authorize({ name: 'jane', groups: [] }, attributesOf('GET', path));
  };
  await ask();
  await ask();
  assert.equal(asked.length, 2);
  await world.advance(31_000);
  await ask();
  assert.equal(asked.length, 3);
});
