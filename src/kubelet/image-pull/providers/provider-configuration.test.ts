import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ConfigurationError } from '../../configuration/fields.ts';
import { readProviderConfiguration } from './provider-configuration.ts';

const head = 'apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\n';
const provider = `{name: ecr, matchImages: ['*.dkr.ecr.*.amazonaws.com'], defaultCacheDuration: 12h, apiVersion: credentialprovider.kubelet.k8s.io/v1`;

describe('a CredentialProviderConfig', () => {
  test('names programs, and what they are asked', () => {
    const [found] = readProviderConfiguration(
      `${head}providers: [${provider}, args: [get-credentials], env: [{name: AWS_PROFILE, value: x}],
        tokenAttributes: {serviceAccountTokenAudience: aud, cacheType: ServiceAccount, requireServiceAccount: true, requiredServiceAccountAnnotationKeys: [a/b]}}]`,
    );
    assert.deepEqual(found, {
      name: 'ecr',
      matchImages: ['*.dkr.ecr.*.amazonaws.com'],
      defaultCacheMs: 12 * 3_600_000,
      apiVersion: 'credentialprovider.kubelet.k8s.io/v1',
      args: ['get-credentials'],
      env: [{ name: 'AWS_PROFILE', value: 'x' }],
      token: { audience: 'aud', cachedBy: 'ServiceAccount', required: true, requiredAnnotations: ['a/b'], optionalAnnotations: [] },
    });
  });

  for (const [name, text, message] of [
    ['of another kind', 'kind: Pod\napiVersion: v1', /^holds v1, kind Pod; expected/],
    ['without providers', `${head}providers: []`, /^providers: Required value/],
    ['with an unknown field', `${head}providers: [${provider}, matchImage: x}]`, /^unknown field "providers\[0\]\.matchImage"$/],
    [
      'whose program lies elsewhere',
      `${head}providers: [{name: ../sh}]`,
      /^providers\[0\]\.name: Invalid value: "\.\.\/sh": must be the name of a file$/,
    ],
    ['that matches nothing', `${head}providers: [{name: a, matchImages: []}]`, /^providers\[0\]\.matchImages: Required value/],
    ['without a version', `${head}providers: [{name: a, matchImages: [b]}]`, /^providers\[0\]\.apiVersion: Required value$/],
    [
      'of a version nobody knows',
      `${head}providers: [{name: a, matchImages: [b], apiVersion: v2}]`,
      /^providers\[0\]\.apiVersion: Unsupported value: "v2"$/,
    ],
    [
      'without a duration',
      `${head}providers: [{name: a, matchImages: [b], apiVersion: credentialprovider.kubelet.k8s.io/v1}]`,
      /^providers\[0\]\.defaultCacheDuration: Required value$/,
    ],
    ['with two of a name', `${head}providers: [${provider}}, ${provider}}]`, /^providers\[1\]\.name: Duplicate value: "ecr"$/],
    [
      'that wants an annotation of nobody',
      `${head}providers: [${provider}, tokenAttributes: {serviceAccountTokenAudience: a, cacheType: Token, requireServiceAccount: false, requiredServiceAccountAnnotationKeys: [x]}}]`,
      /requiredServiceAccountAnnotationKeys: Forbidden: requireServiceAccount cannot be false$/,
    ],
  ] as const) {
    test(`${name} is refused`, () => {
      assert.throws(
        () => readProviderConfiguration(text),
        (error: unknown) => error instanceof ConfigurationError && message.test(error.message),
      );
    });
  }
});
