import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Credential } from './credentials.ts';
import { type VerificationSettings, checkAllowlistPattern, mayRun, mustBeVerified, verificationPolicies, withCredential } from './verification.ts';

const auth = (password: string): Credential['auth'] => ({ username: 'u', password, serverAddress: '', identityToken: '', registryToken: '' });
const bySecret = (name: string, password = 'p'): Credential => ({
  auth: auth(password),
  owner: { kind: 'secret', uid: name, namespace: 'team', name },
});
const byAccount = (name: string): Credential => ({ auth: auth('t'), owner: { kind: 'service-account', uid: name, namespace: 'team', name } });
const byNode: Credential = { auth: auth('n'), owner: { kind: 'node' } };

describe('whoever may run an image that is there', () => {
  test('is asked for credentials as the policy says', () => {
    const allowlist = ['registry.example.com/base/*', 'registry.example.com/tool'];
    const asked = (image: string, wasPulled: boolean): boolean[] =>
      verificationPolicies.map((policy) => mustBeVerified({ policy, allowlist } satisfies VerificationSettings, image, wasPulled));
    // NeverVerify, NeverVerifyPreloadedImages, NeverVerifyAllowlistedImages, AlwaysVerify
    assert.deepEqual(asked('registry.example.com/app', true), [false, true, true, true]);
    assert.deepEqual(asked('registry.example.com/app', false), [false, false, true, true]);
    assert.deepEqual(asked('registry.example.com/base/one', true), [false, true, false, true]);
    assert.deepEqual(asked('registry.example.com/tool', true), [false, true, false, true]);
    assert.deepEqual(asked('registry.example.com/tool/more', true), [false, true, true, true]);
  });

  test('has the secret or the service account it was pulled with', () => {
    const pulled = withCredential(withCredential(undefined, bySecret('a')), byAccount('builder'));
    assert.equal(mayRun(pulled, [bySecret('a')]), true);
    // The same content in another secret, and another content in the same one.
    assert.equal(mayRun(pulled, [bySecret('copy')]), true);
    assert.equal(mayRun(pulled, [bySecret('a', 'renewed')]), true);
    assert.equal(mayRun(pulled, [bySecret('b', 'other')]), false);
    assert.equal(mayRun(pulled, [byAccount('builder')]), true);
    assert.equal(mayRun(pulled, [byAccount('other'), byNode]), false);
    assert.equal(mayRun(pulled, []), false);
    assert.equal(mayRun(undefined, [bySecret('a')]), false);
  });

  test('is anyone, once it was pulled by the node itself or without credentials', () => {
    for (const used of [undefined, byNode]) {
      const pulled = withCredential(withCredential(undefined, bySecret('a')), used);
      assert.deepEqual(pulled, { nodePodsAccessible: true });
      assert.equal(mayRun(pulled, []), true);
      assert.deepEqual(withCredential(pulled, bySecret('b')), { nodePodsAccessible: true });
    }
  });

  test('is listed by repository, or by what it begins with', () => {
    for (const good of ['registry.example.com/*', 'registry.example.com/a/*', 'registry.example.com/a', 'docker.io/library/nginx'])
      checkAllowlistPattern(good);
    for (const [bad, message] of [
      ['', /too short/],
      [' a', /leading\/trailing spaces/],
      ['/*', /registry hostname is required/],
      ['registry.example.com/*/a', /not a valid wildcard pattern/],
      ['*.example.com/*', /not a valid wildcard pattern/],
      ['registry.example.com/a:1', /neither tag nor digest/],
      ['nginx', /neither tag nor digest/],
      ['Not A Name', /failed to parse/],
    ] as const) {
      assert.throws(() => checkAllowlistPattern(bad), message);
    }
  });
});
