import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Pod } from '../../api/kinds.ts';
import type { V1VolumeProjection } from '../../api/types.ts';
import { volumeContent } from './volume-content.ts';

const pod: Pod = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'web', namespace: 'default', uid: 'u', creationTimestamp: '', resourceVersion: '1', labels: { app: 'web' } },
  spec: { containers: [] },
  status: {},
};

const projected = (...sources: V1VolumeProjection[]) =>
  volumeContent(
    { name: 'v', projected: { sources } },
    {
      pod,
      addresses: { podIps: [], hostIps: [] },
      allocatable: {},
      configMap: async () => undefined,
      secret: async () => undefined,
      token: async ({ audience }) => `token for ${audience}`,
    },
  );

describe('a projected volume', () => {
  test('holds what its sources give', async () => {
    const files = await projected(
      { serviceAccountToken: { audience: 'vault', path: 'token' } },
      { downwardAPI: { items: [{ path: 'deep/labels', fieldRef: { fieldPath: 'metadata.labels' } }] } },
      { secret: { name: 'missing', optional: true } },
    );
    assert.deepEqual(
      [...(files ?? [])].map(([path, { content }]) => [path, content.toString()]),
      [
        ['token', 'token for vault'],
        ['deep/labels', 'app="web"'],
      ],
    );
  });

  for (const [source, message] of [
    [{ clusterTrustBundle: { name: 'ca', path: 'ca.pem' } }, /^ClusterTrustBundle projection is not supported/],
    [
      { podCertificate: { signerName: 'example.com/x', keyType: 'ED25519', credentialBundlePath: 'c.pem' } },
      /^PodCertificate projection is not supported/,
    ],
    [{ secret: { name: 'missing' } }, /^secret "missing" not found$/],
  ] as const) {
    test(`is refused with a source that cannot be had: ${Object.keys(source)[0]}`, async () => {
      await assert.rejects(projected(source), { message });
    });
  }

  test('does without a trust bundle that is optional', async () => {
    const files = await projected({ clusterTrustBundle: { name: 'ca', path: 'ca.pem', optional: true } });
    assert.equal(files?.size, 0);
  });
});
