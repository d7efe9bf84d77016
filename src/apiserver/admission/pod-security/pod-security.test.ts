import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import type { V1PodSpec } from '../../../api/types.ts';
import { Fixture, type Reply } from '../../verbs/fixture.ts';
import { describe, violationsOf } from './checks.ts';
import { type Level, policyOf } from './policy.ts';

const hardened = {
  allowPrivilegeEscalation: false,
  capabilities: { drop: ['ALL'] },
  runAsNonRoot: true,
  seccompProfile: { type: 'RuntimeDefault' },
};

function found(spec: Partial<V1PodSpec>, level: Level = 'baseline', minor = Infinity): string {
  const containers = spec.containers ?? [{ name: 'c', securityContext: hardened }];
  return describe(violationsOf({ metadata: {}, spec: { ...spec, containers } }, { level, minor }));
}

const cases: readonly (readonly [name: string, level: Level, spec: Partial<V1PodSpec>, expected: string])[] = [
  ['nothing amiss', 'restricted', {}, ''],
  ['shared namespaces', 'baseline', { hostNetwork: true, hostPID: true }, 'host namespaces (hostNetwork=true, hostPID=true)'],
  [
    'privileged containers',
    'baseline',
    { containers: ['a', 'b'].map((name) => ({ name, securityContext: { privileged: true } })) },
    'privileged (containers "a", "b" must not set securityContext.privileged=true)',
  ],
  ['host paths', 'baseline', { volumes: [{ name: 'v', hostPath: { path: '/' } }] }, 'hostPath volumes (volume "v")'],
  [
    'host ports',
    'baseline',
    {
      containers: [
        {
          name: 'c',
          ports: [
            { containerPort: 1, hostPort: 90 },
            { containerPort: 2, hostPort: 80 },
          ],
        },
      ],
    },
    'hostPort (container "c" uses hostPorts 80, 90)',
  ],
  [
    'capabilities',
    'baseline',
    { containers: [{ name: 'c', securityContext: { capabilities: { add: ['NET_ADMIN', 'CHOWN'] } } }] },
    'non-default capabilities (container "c" must not include "NET_ADMIN" in securityContext.capabilities.add)',
  ],
  [
    'an unconfined profile',
    'baseline',
    { securityContext: { seccompProfile: { type: 'Unconfined' } } },
    'seccompProfile (pod must not set securityContext.seccompProfile.type to "Unconfined")',
  ],
  ['sysctls', 'baseline', { securityContext: { sysctls: [{ name: 'kernel.msgmax', value: '1' }] } }, 'forbidden sysctls (kernel.msgmax)'],
  [
    'a pod that promises nothing',
    'restricted',
    { containers: [{ name: 'c' }] },
    'allowPrivilegeEscalation != false (container "c" must set securityContext.allowPrivilegeEscalation=false), ' +
      'unrestricted capabilities (container "c" must set securityContext.capabilities.drop=["ALL"]), ' +
      'runAsNonRoot != true (pod or container "c" must set securityContext.runAsNonRoot=true), ' +
      'seccompProfile (pod or container "c" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")',
  ],
  [
    'volumes',
    'restricted',
    {
      volumes: [
        { name: 'v', hostPath: { path: '/' } },
        { name: 'w', nfs: { server: 's', path: '/' } },
      ],
    },
    'restricted volume types (volumes "v", "w" use restricted volume types "hostPath", "nfs")',
  ],
  ['root', 'restricted', { securityContext: { runAsUser: 0 } }, 'runAsUser=0 (pod must not set runAsUser=0)'],
];

for (const [name, level, spec, expected] of cases) test(`${level}: ${name}`, () => assert.equal(found(spec, level), expected));

test('an older version of a level', () => {
  const spec = { securityContext: { runAsUser: 0 } };
  assert.equal(found(spec, 'restricted', 22), '');
  assert.notEqual(found(spec, 'restricted', 23), '');
});

test('labels that cannot be read', () => {
  const { policy, errors } = policyOf({ 'pod-security.kubernetes.io/enforce': 'strict', 'pod-security.kubernetes.io/warn-version': '1.2' });
  assert.equal(policy.enforce.level, 'restricted');
  assert.deepEqual(errors.map(String), [
    'metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: "strict": must be one of privileged, baseline, restricted',
    'metadata.labels[pod-security.kubernetes.io/warn-version]: Invalid value: "1.2": must be "latest" or "v1.x"',
  ]);
});

let server: Fixture;
beforeEach(async () => {
  server = await Fixture.open();
});
afterEach(() => server.close());

function label(labels: Record<string, string>): Promise<Reply> {
  const prefixed = Object.fromEntries(Object.entries(labels).map(([key, value]) => [`pod-security.kubernetes.io/${key}`, value]));
  return server.patch('/api/v1/namespaces/a', { metadata: { labels: prefixed } });
}

const pods = '/api/v1/namespaces/a/pods';
const privileged = { containers: [{ name: 'c', image: 'x', securityContext: { privileged: true } }] };

test('a namespace refuses at one level and warns at another, of workloads too', async () => {
  assert.equal((await label({ enforce: 'baseline', 'enforce-version': 'v1.30', warn: 'restricted' })).code, 200);
  const refused = await server.post(pods, { metadata: { name: 'p' }, spec: privileged });
  assert.equal(refused.code, 403);
  assert.equal(
    refused.body['message'],
    'pods "p" is forbidden: violates PodSecurity "baseline:v1.30": privileged (container "c" must not set securityContext.privileged=true)',
  );
  const plain = { containers: [{ name: 'c', image: 'x' }] };
  const warned = await server.post(pods, { metadata: { name: 'p' }, spec: plain });
  assert.equal(warned.code, 201);
  assert.match(warned.warnings.join(), /^would violate PodSecurity "restricted:latest": allowPrivilegeEscalation != false/);
  const template = { metadata: { labels: { a: 'b' } }, spec: privileged };
  const deployment = { metadata: { name: 'd' }, spec: { selector: { matchLabels: { a: 'b' } }, template } };
  const made = await server.post('/apis/apps/v1/namespaces/a/deployments', deployment);
  assert.equal(made.code, 201);
  assert.match(made.warnings.join(), /^would violate PodSecurity "restricted:latest": privileged/);
});

test('a namespace that tightens is told of its pods; wrong labels are refused', async () => {
  for (const name of ['p', 'q', 'r']) await server.post(pods, { metadata: { name }, spec: privileged });
  const tightened = await label({ enforce: 'baseline' });
  assert.deepEqual(tightened.warnings, [
    'existing pods in namespace "a" violate the new PodSecurity enforce level "baseline:latest"',
    'p (and 2 other pods): privileged',
  ]);
  assert.equal((await server.patch(`${pods}/p`, { metadata: { labels: { a: 'b' } } })).code, 200, 'what is there may be labelled');
  const wrong = await label({ enforce: 'strict' });
  assert.equal(wrong.code, 422);
  assert.match(wrong.body['message'], /Namespace "a" is invalid: metadata.labels\[pod-security.kubernetes.io\/enforce\]: Invalid value: "strict"/);
});
