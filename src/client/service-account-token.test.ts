import assert from 'node:assert/strict';
import { test } from 'node:test';
import { notFound } from '../machinery/errors.ts';
import { simulatedWorld } from '../world/simulated.ts';
import { timestamp } from '../world/world.ts';
import { serviceAccountTokens } from './service-account-token.ts';
import type { ApiRequest, Transport } from './transport.ts';
import { createClient } from './typed-client.ts';

const hourMs = 3_600_000;

/** A server that issues token-1, token-2 and so on, for accounts it knows. */
function issuer(t: { known: boolean }) {
  const world = simulatedWorld(1);
  const asked: string[] = [];
  const state = { down: false, issued: 0 };
  const transport: Transport = {
    shared: false,
    async request({ method, path }: ApiRequest): Promise<unknown> {
      asked.push(`${method} ${path.replace('/api/v1/namespaces/kube-system/', '')}`);
      if (state.down) throw new Error('the server is down');
      if (!path.endsWith('/token')) {
        t.known = true;
        return { metadata: { name: 'x', namespace: 'kube-system' } };
      }
      if (!t.known) throw notFound({ group: '', resource: 'serviceaccounts' }, 'x');
      return { status: { token: `token-${++state.issued}`, expirationTimestamp: timestamp(world.clock.now() + hourMs) } };
    },
    watch: () => {
      throw new Error('nobody watches here');
    },
    close: () => undefined,
  };
  return { world, asked, state, tokens: serviceAccountTokens(createClient(transport), world, 'kube-system', 'x') };
}

test('a token is asked for once, whoever waits for it, and kept', async () => {
  const { tokens, asked } = issuer({ known: true });
  assert.deepEqual(await Promise.all([tokens.get(), tokens.get()]), ['token-1', 'token-1']);
  assert.equal(await tokens.get(), 'token-1');
  assert.deepEqual(asked, ['POST serviceaccounts/x/token']);
});

test('a missing account is made', async () => {
  const { tokens, asked } = issuer({ known: false });
  assert.equal(await tokens.get(), 'token-1');
  assert.deepEqual(asked, ['POST serviceaccounts/x/token', 'POST serviceaccounts', 'POST serviceaccounts/x/token']);
});

test('a token is renewed when four fifths of its life are over; the old one serves while that fails', async () => {
  const { tokens, world, state } = issuer({ known: true });
  await tokens.get();
  await world.advance(0.79 * hourMs);
  assert.equal(await tokens.get(), 'token-1');
  await world.advance(0.02 * hourMs);
  state.down = true;
  assert.equal(await tokens.get(), 'token-1');
  state.down = false;
  assert.equal(await tokens.get(), 'token-2');
});

test('with no token to fall back on the failure is told', async () => {
  const { tokens, world, state } = issuer({ known: true });
  await tokens.get();
  await world.advance(1.1 * hourMs);
  state.down = true;
  await assert.rejects(async () => tokens.get(), /the server is down/);
});

test('a token the server refused is not used again', async () => {
  const { tokens } = issuer({ known: true });
  tokens.refused(await tokens.get());
  assert.equal(await tokens.get(), 'token-2');
  tokens.refused('token-1');
  assert.equal(await tokens.get(), 'token-2');
});
