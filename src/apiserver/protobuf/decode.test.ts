import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isReason } from '../../machinery/errors.ts';
import { bodyOf } from '../http/body.ts';
import { protobufMediaType } from '../http/negotiate.ts';

/** What stock kubectl v1.35.2 sent, and the object it meant. */
const sent: readonly (readonly [string, string, object])[] = [
  [
    'create deployment web --image=nginx --replicas=0 --port=80',
    'azhzAAoVCgdhcHBzL3YxEgpEZXBsb3ltZW50ErgBCh8KA3dlYhIAGgAiACoAMgA4AEIAWgoKA2FwcBIDd2ViEoYBCAASDAoKCgNhcHASA3dlYhpsChwKABIAGgAiACoAMgA4AEIAWgoKA2FwcBIDd2ViEkwSLgoFbmdpbngSBW5naW54KgAyCgoAEAAYUCIAKgBCAGoAcgCAAQCIAQCQAQCiAQAaADIAQgBKAFIAWABgAGgAggEAigEAmgEAwgEAIgIKACgAOAAaDAgAEAAYACAAKAA4ABoAIgA=',
    {
      kind: 'Deployment',
      apiVersion: 'apps/v1',
      metadata: { name: 'web', labels: { app: 'web' } },
      spec: {
        replicas: 0,
        selector: { matchLabels: { app: 'web' } },
        template: {
          metadata: { labels: { app: 'web' } },
          spec: { containers: [{ name: 'nginx', image: 'nginx', ports: [{ containerPort: 80 }], resources: {} }] },
        },
        strategy: {},
      },
      status: {},
    },
  ],
  [
    'create secret generic s --from-literal=a=b',
    'azhzAAoMCgJ2MRIGU2VjcmV0Eh0KEQoBcxIAGgAiACoAMgA4AEIAEgYKAWESAWIaABoAIgA=',
    { kind: 'Secret', apiVersion: 'v1', metadata: { name: 's' }, data: { a: 'Yg==' } },
  ],
  [
    'create quota q --hard=cpu=1,memory=1Gi',
    'azhzAAoTCgJ2MRINUmVzb3VyY2VRdW90YRI0ChEKAXESABoAIgAqADIAOABCABIdCgoKA2NwdRIDCgExCg8KBm1lbW9yeRIFCgMxR2kaABoAIgA=',
    { kind: 'ResourceQuota', apiVersion: 'v1', metadata: { name: 'q' }, spec: { hard: { cpu: '1', memory: '1Gi' } }, status: {} },
  ],
  [
    'create poddisruptionbudget pdb --selector=app=a --min-available=50%',
    'azhzAAogCglwb2xpY3kvdjESE1BvZERpc3J1cHRpb25CdWRnZXQSOgoTCgNwZGISABoAIgAqADIAOABCABIXCgkIARAAGgM1MCUSCgoICgNhcHASAWEaCggAGAAgACgAMAAaACIA',
    {
      kind: 'PodDisruptionBudget',
      apiVersion: 'policy/v1',
      metadata: { name: 'pdb' },
      spec: { minAvailable: '50%', selector: { matchLabels: { app: 'a' } } },
      status: { disruptionsAllowed: 0, currentHealthy: 0, desiredHealthy: 0, expectedPods: 0 },
    },
  ],
  [
    'create job j --image=x -- sleep 5',
    'azhzAAoPCghiYXRjaC92MRIDSm9iEnwKEQoBahIAGgAiACoAMgA4AEIAEl0yWwoQCgASABoAIgAqADIAOABCABJHEiQKAWoSAXgaBXNsZWVwGgE1KgBCAGoAcgCAAQCIAQCQAQCiAQAaBU5ldmVyMgBCAEoAUgBYAGAAaACCAQCKAQCaAQDCAQAaCCAAKAAwADoAGgAiAA==',
    {
      kind: 'Job',
      apiVersion: 'batch/v1',
      metadata: { name: 'j' },
      spec: {
        template: { metadata: {}, spec: { containers: [{ name: 'j', image: 'x', command: ['sleep', '5'], resources: {} }], restartPolicy: 'Never' } },
      },
      status: {},
    },
  ],
  [
    'auth can-i get pods',
    'azhzAAoyChdhdXRob3JpemF0aW9uLms4cy5pby92MRIXU2VsZlN1YmplY3RBY2Nlc3NSZXZpZXcSPAoQCgASABoAIgAqADIAOABCABIeChwKB2RlZmF1bHQSA2dldBoAIgAqBHBvZHMyADoAGggIABIAGgAgABoAIgA=',
    {
      kind: 'SelfSubjectAccessReview',
      apiVersion: 'authorization.k8s.io/v1',
      metadata: {},
      spec: { resourceAttributes: { namespace: 'default', verb: 'get', resource: 'pods' } },
      status: { allowed: false },
    },
  ],
  [
    'create token bob --duration=20m',
    'azhzAAooChhhdXRoZW50aWNhdGlvbi5rOHMuaW8vdjESDFRva2VuUmVxdWVzdBIdChAKABIAGgAiACoAMgA4AEIAEgMgsAkaBAoAEgAaACIA',
    { kind: 'TokenRequest', apiVersion: 'authentication.k8s.io/v1', metadata: {}, spec: { expirationSeconds: 1200 }, status: { token: '' } },
  ],
];

for (const [command, base64, expected] of sent) {
  test(`the body of kubectl ${command}`, () => {
    const { body, contentType } = bodyOf(Buffer.from(base64, 'base64'), protobufMediaType);
    assert.equal(contentType, 'application/json');
    assert.deepEqual(body, expected);
  });
}

test('other media types pass as they are', () => {
  const body = Buffer.from('{}');
  assert.deepEqual(bodyOf(body, 'application/json'), { body, contentType: 'application/json' });
});

test('every truncation of a body is a bad request, and never a crash', () => {
  const whole = Buffer.from(sent[0]?.[1] ?? '', 'base64');
  for (let length = 0; length < whole.length; length++) {
    try {
      bodyOf(whole.subarray(0, length), protobufMediaType);
    } catch (error) {
      assert.ok(isReason(error, 'BadRequest', 'UnsupportedMediaType'), `at ${length}: ${String(error)}`);
    }
  }
});

test('bytes of another format are a bad request', () => {
  assert.throws(
    () => bodyOf(Buffer.from('{"kind":"Pod"}'), protobufMediaType),
    (error: unknown) => isReason(error, 'BadRequest'),
  );
});

test('a kind without a protobuf form is an unsupported media type', () => {
  const type = Buffer.concat([Buffer.from([0x0a, 14]), Buffer.from('example.com/v1'), Buffer.from([0x12, 6]), Buffer.from('Widget')]);
  const body = Buffer.concat([Buffer.from('k8s\0'), Buffer.from([0x0a, type.length]), type]);
  assert.throws(
    () => bodyOf(body, protobufMediaType),
    (error: unknown) => isReason(error, 'UnsupportedMediaType'),
  );
});
