import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Pod, Secret } from '../../api/kinds.ts';
import { parseImageName } from '../image-name.ts';
import { coversRepository, credentialHash, credentialsFor, nodeSource, ofNode, secretSource } from './credentials.ts';
import { createKeyring } from './keyring.ts';

const auth = (username: string): { auth: string } => ({ auth: Buffer.from(`${username}:x:y`).toString('base64') });
const base64 = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64');

function secret(name: string, data: Record<string, string>): Secret {
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name, namespace: 'team', uid: `uid-${name}`, creationTimestamp: '', resourceVersion: '1' },
    data,
  };
}

describe('credentials', () => {
  test('of both forms of secrets are read, whatever way a registry is written', () => {
    const current = secret('a', { '.dockerconfigjson': base64({ auths: { 'https://index.docker.io/v1/': auth('docker') } }) });
    const older = secret('b', { '.dockercfg': base64({ 'registry.example.com': { username: 'u', password: 'p' } }) });
    const [first] = credentialsFor([secretSource(current)], 'docker.io', 'library/nginx');
    assert.deepEqual([first?.auth.username, first?.auth.password], ['docker', 'x:y']);
    assert.deepEqual(first?.owner, { kind: 'secret', uid: 'uid-a', namespace: 'team', name: 'a' });
    assert.equal(credentialsFor([secretSource(older)], 'registry.example.com', 'x')[0]?.auth.username, 'u');
  });

  test('that are spoiled are passed over', () => {
    const spoiled: Record<string, string>[] = [
      {},
      { '.dockerconfigjson': 'e30=' },
      { '.dockerconfigjson': base64({ auths: [1] }) },
      { '.dockercfg': 'bm9wZQ==' },
    ];
    for (const data of spoiled) {
      assert.deepEqual(credentialsFor([secretSource(secret('a', data))], 'docker.io', 'x'), []);
    }
    assert.deepEqual(credentialsFor([nodeSource('{')], 'docker.io', 'x'), []);
  });

  for (const [pattern, registry, repository, covers] of [
    ['registry.example.com', 'registry.example.com', 'team/app', true],
    ['registry.example.com/team', 'registry.example.com', 'team/app', true],
    ['registry.example.com/team', 'registry.example.com', 'teams/app', false],
    ['*.example.com', 'registry.example.com', 'app', true],
    ['*.example.com', 'example.com', 'app', false],
    ['*.example.com', 'a.b.example.com', 'app', false],
    ['*.dkr.ecr.*.amazonaws.com', '123.dkr.ecr.eu-west-1.amazonaws.com', 'app', true],
    ['reg-*.example.com', 'reg-7.example.com', 'app', true],
    ['reg-*.example.com', 'rag-7.example.com', 'app', false],
    ['localhost:5000', 'localhost:5000', 'app', true],
    ['localhost', 'localhost:5000', 'app', false],
    ['*:5000', 'localhost:5000', 'app', true],
  ] as const) {
    test(`for ${pattern} are ${covers ? 'those' : 'not those'} for ${registry}/${repository}`, () => {
      assert.equal(coversRepository(pattern, registry, repository), covers);
    });
  }

  test('of the pod come before those of the node, and the closest first', async () => {
    const pod: Pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'p', namespace: 'team', uid: 'p', creationTimestamp: '', resourceVersion: '1' },
      spec: { imagePullSecrets: [{ name: 'a' }, { name: 'missing' }], containers: [] },
      status: {},
    };
    const keyring = createKeyring({
      secret: async (_, name) =>
        name === 'a'
          ? secret('a', { '.dockerconfigjson': base64({ auths: { 'r.example.com': auth('pod'), 'r.example.com/app': auth('pod-app') } }) })
          : undefined,
      nodeCredentials: async () => JSON.stringify({ auths: { 'r.example.com/app/very/close': auth('node') } }),
    });
    const name = parseImageName('r.example.com/app/very/close:1');
    assert.ok(name);
    const found = await keyring.lookUp(pod, name);
    assert.deepEqual(
      found.map(({ auth: { username }, owner }) => [username, owner.kind]),
      [
        ['pod-app', 'secret'],
        ['pod', 'secret'],
        ['node', 'node'],
      ],
    );
    assert.equal(found[2]?.owner, ofNode);
  });

  test('are told apart by a hash', () => {
    const one = { username: 'u', password: 'p', serverAddress: '', identityToken: '', registryToken: '' };
    assert.match(credentialHash(one), /^[0-9a-f]{64}$/);
    assert.notEqual(credentialHash(one), credentialHash({ ...one, password: 'q' }));
  });
});
