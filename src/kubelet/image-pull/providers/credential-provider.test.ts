import assert from 'node:assert/strict';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { Pod } from '../../../api/kinds.ts';
import { createClient } from '../../../client/typed-client.ts';
import { simulatedWorld } from '../../../world/simulated.ts';
import { realWorld } from '../../../world/real.ts';
import { fakeApi } from '../../fake-api.ts';
import { type ImageName, parseImageName } from '../../image-name.ts';
import { CredentialProvider } from './credential-provider.ts';
import { type PluginCall, pluginProgram } from './plugin-program.ts';
import type { ProviderSettings, TokenSettings } from './provider-configuration.ts';

const apiVersion = 'credentialprovider.kubelet.k8s.io/v1';

function named(text: string): ImageName {
  const name = parseImageName(text);
  if (!name) throw new Error(`${text} is no image`);
  return name;
}

function podOf(serviceAccountName?: string): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'web', namespace: 'default', uid: 'pod-uid', creationTimestamp: '', resourceVersion: '' },
    spec: { containers: [], ...(serviceAccountName !== undefined && { serviceAccountName }) },
    status: {},
  };
}

/** A provider whose program says this, and who it was asked by. */
function provider(answer: object, token?: TokenSettings) {
  const world = simulatedWorld(1);
  const api = fakeApi(world);
  const calls: PluginCall[] = [];
  const settings: ProviderSettings = {
    name: 'plugin',
    matchImages: ['*.example.com'],
    defaultCacheMs: 60_000,
    apiVersion,
    args: ['get'],
    env: [{ name: 'REGION', value: 'here' }],
    ...(token && { token }),
  };
  const run = async (call: PluginCall): Promise<string> => {
    calls.push(call);
    return JSON.stringify({ kind: 'CredentialProviderResponse', apiVersion, ...answer });
  };
  const made = new CredentialProvider({ world, client: createClient(api), settings, program: '/bin/plugin', run });
  return { provide: (image: string, pod = podOf()) => made.provide(named(image), pod), calls, world, api };
}

const auth = { 'registry.example.com': { username: 'u', password: 'p' } };

describe('a credential provider', () => {
  test('is asked about images it knows, in its own words', async () => {
    const { provide, calls } = provider({ cacheKeyType: 'Image', auth });
    assert.equal(await provide('docker.io/library/nginx'), undefined);
    assert.deepEqual(await provide('registry.example.com/app:1'), { owner: { kind: 'node' }, entries: auth });
    assert.equal(calls.length, 1);
    assert.deepEqual([calls[0]?.program, calls[0]?.args, calls[0]?.env], ['/bin/plugin', ['get'], { REGION: 'here' }]);
    assert.deepEqual(JSON.parse(calls[0]?.input ?? ''), { kind: 'CredentialProviderRequest', apiVersion, image: 'registry.example.com/app' });
  });

  for (const [cacheKeyType, again] of [
    ['Image', ['registry.example.com/other', 'mirror.example.com/app']],
    ['Registry', ['mirror.example.com/app']],
    ['Global', []],
  ] as const) {
    test(`whose answer holds for ${cacheKeyType} is asked again only for others`, async () => {
      const { provide, calls } = provider({ cacheKeyType, auth });
      for (const image of ['registry.example.com/app:1', 'registry.example.com/app:2', 'registry.example.com/other', 'mirror.example.com/app']) {
        await provide(image);
      }
      assert.deepEqual(
        calls.map(({ input }) => JSON.parse(input).image),
        ['registry.example.com/app', ...again],
      );
    });
  }

  test('is asked anew when its answer is too old, and each time when it says so', async () => {
    const { provide, calls, world } = provider({ cacheKeyType: 'Image', auth, cacheDuration: '10s' });
    await provide('registry.example.com/app');
    await world.advance(9000);
    await provide('registry.example.com/app');
    assert.equal(calls.length, 1);
    await world.advance(2000);
    await provide('registry.example.com/app');
    assert.equal(calls.length, 2);
    const never = provider({ cacheKeyType: 'Image', auth, cacheDuration: '0s' });
    await never.provide('registry.example.com/app');
    await never.provide('registry.example.com/app');
    assert.equal(never.calls.length, 2);
  });

  test('is asked once by many at a time', async () => {
    const { provide, calls } = provider({ cacheKeyType: 'Image', auth });
    await Promise.all([provide('registry.example.com/app:1'), provide('registry.example.com/app:2')]);
    assert.equal(calls.length, 1);
  });

  test('that answers nonsense gives nothing', async () => {
    for (const answer of [
      { cacheKeyType: 'Sometimes', auth },
      { kind: 'Other', cacheKeyType: 'Image' },
      { cacheKeyType: 'Image', cacheDuration: 'soon' },
    ]) {
      assert.equal(await provider(answer).provide('registry.example.com/app'), undefined);
    }
    assert.deepEqual(await provider({ cacheKeyType: 'Image' }).provide('registry.example.com/app'), { owner: { kind: 'node' }, entries: {} });
  });

  describe('that wants to know for whom', () => {
    const token: TokenSettings = {
      audience: 'registry',
      cachedBy: 'ServiceAccount',
      required: true,
      requiredAnnotations: ['example.com/role'],
      optionalAnnotations: ['example.com/more'],
    };

    test('is told by a token of the pod, and its credentials are those of the account', async () => {
      const { provide, calls, api } = provider({ cacheKeyType: 'Registry', auth }, token);
      api.put({
        kind: 'ServiceAccount',
        metadata: { name: 'builder', namespace: 'default', uid: 'sa-uid', annotations: { 'example.com/role': 'r', x: 'y' } },
      } as Parameters<typeof api.put>[0]);
      const source = await provide('registry.example.com/app', podOf('builder'));
      assert.deepEqual(source?.owner, { kind: 'service-account', uid: 'sa-uid', namespace: 'default', name: 'builder' });
      const request = JSON.parse(calls[0]?.input ?? '');
      assert.match(request.serviceAccountToken, /^token-of-builder-/);
      assert.deepEqual(request.serviceAccountAnnotations, { 'example.com/role': 'r' });
      await provide('registry.example.com/other', podOf('builder'));
      assert.equal(calls.length, 1, 'its answer holds for the account');
    });

    test('is not asked for pods that do not say who they are', async () => {
      const { provide, calls, api } = provider({ cacheKeyType: 'Registry', auth }, token);
      api.put({ kind: 'ServiceAccount', metadata: { name: 'plain', namespace: 'default' } });
      assert.equal(await provide('registry.example.com/app', podOf('plain')), undefined);
      assert.equal(await provide('registry.example.com/app', podOf()), undefined);
      assert.equal(await provide('registry.example.com/app', podOf('missing')), undefined);
      assert.equal(calls.length, 0);
      const lenient = provider({ cacheKeyType: 'Registry', auth }, { ...token, required: false, requiredAnnotations: [] });
      assert.deepEqual((await lenient.provide('registry.example.com/app'))?.owner, { kind: 'node' });
    });

    test('is asked for each token where that is said', async () => {
      const { provide, calls, api } = provider({ cacheKeyType: 'Registry', auth }, { ...token, cachedBy: 'Token', requiredAnnotations: [] });
      api.put({ kind: 'ServiceAccount', metadata: { name: 'builder', namespace: 'default' } });
      await provide('registry.example.com/app', podOf('builder'));
      await provide('registry.example.com/app', podOf('builder'));
      assert.equal(calls.length, 2);
    });
  });
});

describe("a provider's program", () => {
  const run = pluginProgram(realWorld({ level: 'silent' }));

  async function script(text: string, work: (program: string) => Promise<void>): Promise<void> {
    const directory = await mkdtemp(join(tmpdir(), 'k8ts-plugin-'));
    try {
      const program = join(directory, 'plugin');
      await writeFile(program, `#!/bin/sh\n${text}\n`);
      await chmod(program, 0o755);
      await work(program);
    } finally {
      await rm(directory, { recursive: true });
    }
  }

  test('reads what it is asked, with its arguments and environment', async () => {
    await script('printf "%s %s " "$1" "$REGION"; cat', async (program) => {
      assert.equal(await run({ program, args: ['get'], env: { REGION: 'here' }, input: 'question' }), 'get here question');
    });
  });

  test('that fails, or is not there, says why', async () => {
    await script('echo "no such registry" >&2; exit 3', async (program) => {
      await assert.rejects(run({ program, args: [], env: {}, input: 'x' }), /plugin ended with 3: no such registry$/);
    });
    await assert.rejects(run({ program: '/nowhere/plugin', args: [], env: {}, input: 'x' }), /ENOENT/);
  });

  test('that never stops talking is ended', async () => {
    await script('exec yes', async (program) => {
      await assert.rejects(run({ program, args: [], env: {}, input: 'x' }), /ended with SIGKILL/);
    });
  });
});
