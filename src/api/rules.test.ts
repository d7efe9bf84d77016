/** What each kind refuses, by field and reason, at and around its limits; and what it lets pass with a warning. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeObject } from '../machinery/decode.ts';
import type { KubeObject } from '../machinery/object.ts';
import type { Kind } from './kind.ts';
import * as kinds from './kinds.ts';
import { validateObject } from './object-meta.ts';

type Body = Readonly<Record<string, unknown>>;

function made(kind: Kind, body: Body, name = 'x'): KubeObject {
  const { object, unknownFields, typeErrors } = decodeObject(body, kind.schema);
  assert.deepEqual([unknownFields, typeErrors], [[], []]);
  const decoded = object as Record<string, unknown> & KubeObject;
  const metadata = { ...decoded.metadata, name, uid: 'u', creationTimestamp: '2024-01-01T00:00:00Z', ...(kind.namespaced && { namespace: 'n' }) };
  Object.assign(decoded, { metadata, kind: kind.kind });
  kind.defaults?.(decoded);
  kind.prepareForCreate?.(decoded);
  return decoded;
}

function refused(kind: Kind, body: Body, name?: string): string[] {
  return validateObject(kind, made(kind, body, name), undefined).map(({ field, reason }) => `${field} ${reason.replace('FieldValue', '')}`);
}

const container = { name: 'c', image: 'i' };
const template = (spec: Body = {}): Body => ({
  metadata: { labels: { a: 'b' } },
  spec: { containers: [container], restartPolicy: 'Never', ...spec },
});
const pod = (spec: Body): Body => ({ spec: { containers: [container], ...spec } });
const inPod = (more: Body): Body => pod({ containers: [{ ...container, ...more }] });
const job = (spec: Body): Body => ({ spec: { template: template(), ...spec } });
const times = (count: number, item: (index: number) => unknown): unknown[] => Array.from({ length: count }, (_, index) => item(index));
const ignoreRule = { action: 'Ignore', onExitCodes: { operator: 'In', values: [1] } };
const claim = (devices: Body): Body => ({ spec: { devices } });
const exactly = { deviceClassName: 'gpu' };
const flow = (spec: Body): Body => ({ spec: { priorityLevelConfiguration: { name: 'p' }, ...spec } });
const service = (spec: Body): Body => ({ spec: { ports: [{ port: 80 }], ...spec } });

const cases: readonly (readonly [string, Kind, Body, readonly string[]])[] = [
  ['a job with twenty failure rules', kinds.Job, job({ podFailurePolicy: { rules: times(20, () => ignoreRule) } }), []],
  ['and with one more', kinds.Job, job({ podFailurePolicy: { rules: times(21, () => ignoreRule) } }), ['spec.podFailurePolicy.rules TooMany']],
  [
    'a job that fails on exit code 0',
    kinds.Job,
    job({ podFailurePolicy: { rules: [{ action: 'FailJob', onExitCodes: { operator: 'In', values: [2, 0, 2] } }] } }),
    [
      'spec.podFailurePolicy.rules[0].onExitCodes.values[2] Duplicate',
      'spec.podFailurePolicy.rules[0].onExitCodes.values[1] Invalid',
      'spec.podFailurePolicy.rules[0].onExitCodes.values Invalid',
    ],
  ],
  [
    'a job that succeeds by more indexes than it has',
    kinds.Job,
    job({ completionMode: 'Indexed', completions: 3, successPolicy: { rules: [{ succeededIndexes: '0-1,3' }, { succeededCount: 4 }] } }),
    ['spec.successPolicy.rules[0].succeededIndexes Invalid', 'spec.successPolicy.rules[1].succeededCount Invalid'],
  ],
  ['a job managed by a name without a domain', kinds.Job, job({ managedBy: 'me' }), ['spec.managedBy Invalid']],
  ['a schedule at the edge', kinds.CronJob, { spec: { schedule: '59 23 31 12 6', jobTemplate: job({}) } }, []],
  ['a schedule beyond it', kinds.CronJob, { spec: { schedule: '60 * * * *', jobTemplate: job({}) } }, ['spec.schedule Invalid']],
  ['a schedule of words', kinds.CronJob, { spec: { schedule: '0 0 * jan mon-fri/2', jobTemplate: job({}) } }, []],
  [
    'a schedule with a time zone twice',
    kinds.CronJob,
    { spec: { schedule: 'TZ=UTC 0 0 * * *', timeZone: 'Local', jobTemplate: job({}) } },
    ['spec.schedule Invalid', 'spec.timeZone Invalid'],
  ],
  ['a pod with 64 gates', kinds.Pod, pod({ schedulingGates: times(64, (index) => ({ name: `g${index}` })) }), []],
  ['and with 65', kinds.Pod, pod({ schedulingGates: times(65, (index) => ({ name: `g${index}` })) }), ['spec.schedulingGates TooMany']],
  [
    'restart rules without a policy',
    kinds.Pod,
    inPod({ restartPolicyRules: [{ action: 'Restart' }] }),
    ['spec.containers[0].restartPolicy Required', 'spec.containers[0].restartPolicyRules[0].exitCodes Required'],
  ],
  ['a stop signal for no system', kinds.Pod, inPod({ lifecycle: { stopSignal: 'SIGTERM' } }), ['spec.containers[0].lifecycle.stopSignal Forbidden']],
  [
    'a signal that windows lacks',
    kinds.Pod,
    pod({ os: { name: 'windows' }, containers: [{ ...container, lifecycle: { stopSignal: 'SIGUSR1' } }] }),
    ['spec.containers[0].lifecycle.stopSignal NotSupported'],
  ],
  [
    'a linux pod with windows options',
    kinds.Pod,
    pod({ os: { name: 'linux' }, securityContext: { windowsOptions: {} } }),
    ['spec.securityContext.windowsOptions Forbidden'],
  ],
  ["the host's network for users of its own", kinds.Pod, pod({ hostUsers: false, hostNetwork: true }), ['spec.hostNetwork Forbidden']],
  [
    'a pod that asks for less than its containers',
    kinds.Pod,
    pod({ resources: { requests: { cpu: '1' } }, containers: [{ ...container, resources: { requests: { cpu: '2' } } }] }),
    ['spec.resources.requests[cpu] Invalid'],
  ],
  [
    'two projections to one path',
    kinds.Pod,
    pod({
      volumes: [
        {
          name: 'v',
          projected: { sources: [{ serviceAccountToken: { path: 't' } }, { configMap: { name: 'c', items: [{ key: 'k', path: 't' }] } }] },
        },
      ],
    }),
    ['spec.volumes[0].projected Invalid'],
  ],
  [
    'a token for less than ten minutes',
    kinds.Pod,
    pod({ volumes: [{ name: 'v', projected: { sources: [{ serviceAccountToken: { path: 't', expirationSeconds: 599 } }] } }] }),
    ['spec.volumes[0].projected.sources[0].serviceAccountToken.expirationSeconds Invalid'],
  ],
  [
    'a volume without what it needs',
    kinds.Pod,
    pod({ volumes: [{ name: 'v', rbd: { image: '', monitors: [] } }] }),
    ['spec.volumes[0].rbd.monitors Required', 'spec.volumes[0].rbd.image Required'],
  ],
  ['a claim of 32 devices', kinds.ResourceClaim, claim({ requests: times(32, (index) => ({ name: `r${index}`, exactly })) }), []],
  ['and of 33', kinds.ResourceClaim, claim({ requests: times(33, (index) => ({ name: `r${index}`, exactly })) }), ['spec.devices.requests TooMany']],
  [
    'a constraint on a request that is not there',
    kinds.ResourceClaim,
    claim({ requests: [{ name: 'r', exactly }], constraints: [{ requests: ['s'], matchAttribute: 'x.example/numa' }] }),
    ['spec.devices.constraints[0].requests[0] Invalid'],
  ],
  ['a request of neither form', kinds.ResourceClaim, claim({ requests: [{ name: 'r' }] }), ['spec.devices.requests[0] Required']],
  [
    'a slice that is nowhere',
    kinds.ResourceSlice,
    { spec: { driver: 'd.example', pool: { name: 'p', generation: 1, resourceSliceCount: 1 } } },
    ['spec Required'],
  ],
  ['precedence 10000', kinds.FlowSchema, flow({ matchingPrecedence: 10_000 }), []],
  ['precedence 10001', kinds.FlowSchema, flow({ matchingPrecedence: 10_001 }), ['spec.matchingPrecedence Invalid']],
  [
    'a level that deals too many cards',
    kinds.PriorityLevelConfiguration,
    { spec: { type: 'Limited', limited: { limitResponse: { type: 'Queue', queuing: { queues: 1000, handSize: 7 } } } } },
    ['spec.limited.limitResponse.queuing.handSize Invalid'],
  ],
  ['a review of nothing', kinds.SubjectAccessReview, { spec: {} }, ['spec.resourceAttributes Invalid', 'spec.user Invalid', 'metadata Invalid']],
  [
    'three addresses',
    kinds.Service,
    service({ clusterIP: '10.0.0.1', clusterIPs: ['10.0.0.1', '10.0.0.2', 'fd00::1'] }),
    ['spec.clusterIPs Invalid'],
  ],
  ['two of one family', kinds.Service, service({ clusterIP: '10.0.0.1', clusterIPs: ['10.0.0.1', '10.0.0.2'] }), ['spec.clusterIPs Invalid']],
  ['a health port without a balancer', kinds.Service, service({ healthCheckNodePort: 30_000 }), ['spec.healthCheckNodePort Invalid']],
  ['traffic to nobody knows where', kinds.Service, service({ trafficDistribution: 'Moon' }), ['spec.trafficDistribution NotSupported']],
  ['an endpoint on this machine', kinds.Endpoints, { subsets: [{ addresses: [{ ip: '127.0.0.1' }] }] }, ['subsets[0].addresses[0].ip Invalid']],
  [
    'a hole as large as the block',
    kinds.NetworkPolicy,
    { spec: { podSelector: {}, ingress: [{ from: [{ ipBlock: { cidr: '10.0.0.0/8', except: ['10.0.0.0/8'] } }] }] } },
    ['spec.ingress[0].from[0].ipBlock.except[0] Invalid'],
  ],
  ['a quota of what its scope cannot count', kinds.ResourceQuota, { spec: { hard: { cpu: '1' }, scopes: ['BestEffort'] } }, ['spec.scopes Invalid']],
  [
    'a ratio below one',
    kinds.LimitRange,
    { spec: { limits: [{ type: 'Container', maxLimitRequestRatio: { cpu: '500m' } }] } },
    ['spec.limits[0].maxLimitRequestRatio[cpu] Invalid'],
  ],
  ['ranges of one family', kinds.ServiceCIDR, { spec: { cidrs: ['10.0.0.0/16', '10.1.0.0/16'] } }, ['spec Invalid']],
  [
    'a webhook by an URL with a query',
    kinds.ValidatingWebhookConfiguration,
    { webhooks: [{ name: 'a.b.c', sideEffects: 'None', admissionReviewVersions: ['v1'], clientConfig: { url: 'http://x/?a' } }] },
    ['webhooks[0].clientConfig.url Invalid', 'webhooks[0].clientConfig.url Invalid'],
  ],
  [
    'a docker secret that is no JSON',
    kinds.Secret,
    { type: 'kubernetes.io/dockerconfigjson', stringData: { '.dockerconfigjson': '{' } },
    ['data[.dockerconfigjson] Invalid'],
  ],
  [
    'a volume for two sources',
    kinds.PersistentVolume,
    { spec: { capacity: { storage: '1Gi' }, accessModes: ['ReadWriteOnce'], hostPath: { path: '/a' }, nfs: { server: 's', path: 'p' } } },
    ['spec.nfs Forbidden', 'spec.nfs.path Invalid'],
  ],
];

for (const [name, kind, body, expected] of cases) {
  test(`${kind.kind}: ${name}: ${expected.length === 0 ? 'accepted' : 'refused'}`, () => {
    assert.deepEqual(refused(kind, body), expected);
  });
}

test('names that become names of pods are as short as those need', () => {
  const schedule = { spec: { schedule: '@daily', jobTemplate: job({}) } };
  assert.deepEqual(refused(kinds.CronJob, schedule, 'a'.repeat(52)), []);
  assert.deepEqual(refused(kinds.CronJob, schedule, 'a'.repeat(53)), ['metadata.name Invalid']);
  const indexed = job({ completionMode: 'Indexed', completions: 10 });
  assert.deepEqual(refused(kinds.Job, indexed, 'a'.repeat(61)), []);
  assert.deepEqual(refused(kinds.Job, indexed, 'a'.repeat(62)), ['metadata.name Invalid']);
});

test('a suspended job may be steered elsewhere, a running one may not', () => {
  const before = made(kinds.Job, job({ suspend: true })) as kinds.Job;
  const after = structuredClone(before);
  Object.assign(after.spec.template.spec ?? {}, { nodeSelector: { disk: 'fast' } });
  assert.deepEqual(validateObject(kinds.Job, after, before).map(String), []);
  const running = { ...before, spec: { ...before.spec, suspend: false } };
  assert.deepEqual(
    validateObject(kinds.Job, { ...after, spec: { ...after.spec, suspend: false } }, running).map(({ field }) => field),
    ['spec.template'],
  );
});

test('a gated pod may be narrowed, and not widened', () => {
  const gated = (spec: Body): kinds.Pod => made(kinds.Pod, pod({ schedulingGates: [{ name: 'g' }], ...spec })) as kinds.Pod;
  const before = gated({ nodeSelector: { a: 'b' } });
  assert.deepEqual(validateObject(kinds.Pod, gated({ nodeSelector: { a: 'b', c: 'd' } }), before).map(String), []);
  assert.deepEqual(
    validateObject(kinds.Pod, gated({ nodeSelector: { c: 'd' } }), before).map(({ field }) => field),
    ['spec.nodeSelector'],
  );
});

function warned(kind: Kind, body: Body, name?: string): string[] {
  return kind.warnings?.(made(kind, body, name), undefined) ?? [];
}

const warnings: readonly (readonly [string, Kind, Body, readonly string[]])[] = [
  [
    'a label of old',
    kinds.Pod,
    pod({ nodeSelector: { 'beta.kubernetes.io/os': 'linux' } }),
    ['spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "kubernetes.io/os" instead'],
  ],
  [
    'the same in a template',
    kinds.Deployment,
    { spec: { selector: { matchLabels: { a: 'b' } }, template: template({ nodeSelector: { 'beta.kubernetes.io/arch': 'x' } }) } },
    ['spec.template.spec.nodeSelector[beta.kubernetes.io/arch]: deprecated since v1.14; use "kubernetes.io/arch" instead'],
  ],
  [
    'a variable twice',
    kinds.Pod,
    inPod({
      env: [
        { name: 'A', value: '1' },
        { name: 'A', value: '2' },
        { name: 'A', value: '$(A)3' },
      ],
    }),
    ['spec.containers[0].env[1]: hides previous definition of "A", which may be dropped when using apply'],
  ],
  [
    'a port twice',
    kinds.Pod,
    inPod({ ports: [{ containerPort: 80 }, { containerPort: 80, hostPort: 80 }] }),
    ['spec.containers[0].ports[1]: overlapping port definition with spec.containers[0].ports[0]'],
  ],
  [
    'part of a byte',
    kinds.Pod,
    inPod({ resources: { limits: { memory: '500m' } } }),
    [
      'spec.containers[0].resources.limits[memory]: fractional byte value "500m" is invalid, must be an integer',
      'spec.containers[0].resources.requests[memory]: fractional byte value "500m" is invalid, must be an integer',
    ],
  ],
  [
    'an annotation for a class',
    kinds.Ingress,
    { metadata: { annotations: { 'kubernetes.io/ingress.class': 'c' } }, spec: {} },
    [`annotation "kubernetes.io/ingress.class" is deprecated, please use 'spec.ingressClassName' instead`],
  ],
  [
    'a volume that no longer works',
    kinds.Pod,
    pod({ volumes: [{ name: 'v', glusterfs: { endpoints: 'e', path: 'p' } }] }),
    ['spec.volumes[0].glusterfs: deprecated in v1.25, non-functional in v1.26+'],
  ],
  [
    'a range with an address in it',
    kinds.NetworkPolicy,
    { spec: { podSelector: {}, ingress: [{ from: [{ ipBlock: { cidr: '10.0.0.1/8' } }] }] } },
    ['spec.ingress[0].from[0].ipBlock.cidr: CIDR value "10.0.0.1/8" is ambiguous in this context (should be "10.0.0.0/8" or "10.0.0.1/32"?)'],
  ],
  ['nothing to say', kinds.Pod, pod({}), []],
];

for (const [name, kind, body, expected] of warnings) {
  test(`${kind.kind}: ${name} is warned of`, () => {
    assert.deepEqual(warned(kind, body), expected);
  });
}

test('a pod whose name cannot be its host name is warned of', () => {
  assert.deepEqual(warned(kinds.Pod, pod({}), 'a.b'), [
    "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is recommended: [must not contain dots]",
  ]);
});
