import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { test } from 'node:test';
import { stringify } from 'yaml';
import type { ConfigMap } from '../api/kinds.ts';
import { simulatedWorld } from '../world/simulated.ts';
import { createCertificateAuthority } from './certificates.ts';
import { DiscoveryError, publicKeyHash, trustedAuthority } from './discovery.ts';

const token = { id: 'abcdef', secret: '0123456789abcdef' };
const world = simulatedWorld(1);
const ca = (await createCertificateAuthority(world, 'kubernetes')).certificate;
const other = (await createCertificateAuthority(world, 'kubernetes')).certificate;

function kubeconfigWith(authority: string): string {
  const cluster = { 'certificate-authority-data': Buffer.from(authority).toString('base64'), server: 'https://10.0.0.1:6443' };
  return stringify({ apiVersion: 'v1', kind: 'Config', clusters: [{ name: '', cluster }] });
}

function signature(text: string, secret = token.secret, header: object = { alg: 'HS256', kid: token.id }): string {
  const head = Buffer.from(JSON.stringify(header)).toString('base64url');
  const mac = createHmac('sha256', secret)
    .update(`${head}.${Buffer.from(text).toString('base64url')}`)
    .digest('base64url');
  return `${head}..${mac}`;
}

function info(kubeconfig: string, jws: string | undefined): ConfigMap {
  const metadata = { name: 'cluster-info', namespace: 'kube-public', uid: '', resourceVersion: '1', creationTimestamp: '' };
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { kubeconfig, ...(jws !== undefined && { 'jws-kubeconfig-abcdef': jws }) } };
}

const good = kubeconfigWith(ca);
const pinned = { token, caHashes: [publicKeyHash(ca)] };

test('a signed authority with the right hash is believed', () => {
  assert.equal(trustedAuthority(info(good, signature(good)), pinned), ca);
});

test('without a hash the token alone is believed', () => {
  assert.equal(trustedAuthority(info(good, signature(good)), { token, caHashes: [] }), ca);
});

test('one of several hashes is enough', () => {
  assert.equal(trustedAuthority(info(good, signature(good)), { token, caHashes: [publicKeyHash(other), publicKeyHash(ca)] }), ca);
});

test('not signed yet is no error: one waits', () => {
  assert.equal(trustedAuthority(undefined, pinned), undefined);
  assert.equal(trustedAuthority(info(good, undefined), pinned), undefined);
});

test('what is not to be believed', async (t) => {
  const bad = kubeconfigWith(other);
  const nothing = stringify({ clusters: [] });
  const cases: readonly [string, ConfigMap, RegExp][] = [
    ['another authority, signed by who knows the token', info(bad, signature(bad)), /hash/],
    ['an authority put in place of the signed one', info(bad, signature(good)), /not signed/],
    ['signed with another token', info(good, signature(good, 'ffffffffffffffff')), /not signed/],
    ['an algorithm that proves nothing', info(good, signature(good, token.secret, { alg: 'none', kid: token.id })), /not signed/],
    ["another token's signature", info(good, signature(good, token.secret, { alg: 'HS256', kid: 'zzzzzz' })), /not signed/],
    ['no signature at all', info(good, 'x'), /not signed/],
    ['a payload of its own', info(good, signature(good).replace('..', '.e30.')), /not signed/],
    ['no authority', info(nothing, signature(nothing)), /names no certificate authority/],
  ];
  for (const [name, map, message] of cases) {
    await t.test(name, () => {
      assert.throws(
        () => trustedAuthority(map, pinned),
        (error) => error instanceof DiscoveryError && message.test(error.message),
      );
    });
  }
});
