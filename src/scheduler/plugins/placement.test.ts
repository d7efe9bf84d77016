/** Each plugin that filters or scores by nodes and pods, in tables: a situation, a pod, and where it goes or why it does not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Node, Pod, Service } from '../../api/kinds.ts';
import type { V1PodAffinityTerm, V1PodSpec, V1TopologySpreadConstraint } from '../../api/types.ts';
import { testNamespace, testNode, testPod } from '../test-objects.ts';
import { decide, outcomeOf, type Situation } from '../test-profile.ts';

interface Case extends Situation {
  readonly name: string;
  readonly pod: Pod;
  readonly profile?: object;
  readonly expect: string;
}

function table(plugin: string, cases: readonly Case[]): void {
  for (const { name, pod, profile, expect, ...situation } of cases) {
    test(`${plugin}: ${name}`, () => assert.equal(outcomeOf(decide(situation, pod, profile)), expect));
  }
}

const zone = 'topology.kubernetes.io/zone';
const hostname = 'kubernetes.io/hostname';
const named = (name: string, labels: Record<string, string> = {}, more: Partial<Node> = {}): Node => ({
  ...testNode(name, {}, { [hostname]: name, ...labels }),
  ...more,
});
const zones = [named('a1', { [zone]: 'a' }), named('a2', { [zone]: 'a' }), named('b1', { [zone]: 'b' })];
const app = (name: string, label: string, spec: Partial<V1PodSpec> = {}): Pod => {
  const pod = testPod(name, spec);
  return { ...pod, metadata: { ...pod.metadata, labels: { app: label } } };
};
const refused = (...words: string[]): string => `0/${words[0]} nodes are available: ${words.slice(1).join(', ')}.`;

// ---- spread

const spread = (more: Partial<V1TopologySpreadConstraint> = {}): Partial<V1PodSpec> => ({
  topologySpreadConstraints: [
    { maxSkew: 1, topologyKey: zone, whenUnsatisfiable: 'DoNotSchedule', labelSelector: { matchLabels: { app: 'x' } }, ...more },
  ],
});
const selectsX: Service = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 's', namespace: 'default', uid: 's', resourceVersion: '1', creationTimestamp: '' },
  spec: { selector: { app: 'x' } },
  status: {},
};
const oneInEachZone: Situation['placed'] = [
  [app('q', 'x'), 'a1'],
  [app('r', 'x'), 'b1'],
];
const skewed = "node(s) didn't match pod topology spread constraints";

table('PodTopologySpread', [
  { name: 'the emptier zone', nodes: zones, placed: [[app('q', 'x'), 'a1']], pod: app('p', 'x', spread()), expect: 'b1' },
  {
    name: 'a skew that is allowed',
    nodes: zones,
    placed: [
      [app('q', 'x'), 'a1'],
      [testPod('big', {}, { cpu: '2' }), 'b1'],
      [testPod('big2', {}, { cpu: '2' }), 'a1'],
    ],
    pod: { ...app('p', 'x', spread({ maxSkew: 2 })), spec: { ...testPod('p', spread({ maxSkew: 2 }), { cpu: '1' }).spec } },
    expect: 'a2',
  },
  {
    name: 'a skew that is not',
    nodes: zones,
    placed: [
      [app('q', 'x'), 'a1'],
      [testPod('big', {}, { cpu: '2' }), 'b1'],
    ],
    pod: { ...app('p', 'x'), spec: testPod('p', spread(), { cpu: '1' }).spec },
    expect: refused('3', '1 Insufficient cpu', `2 ${skewed}`),
  },
  {
    name: 'nodes without the topology',
    nodes: [named('n')],
    pod: app('p', 'x', spread()),
    expect: refused('1', `1 ${skewed} (missing required label)`),
  },
  {
    name: 'pods of other labels, of other namespaces and on their way out do not count',
    nodes: zones,
    placed: [
      [app('q', 'y'), 'b1'],
      [{ ...app('r', 'x'), metadata: { ...app('r', 'x').metadata, namespace: 'other' } }, 'b1'],
      [{ ...app('s', 'x'), metadata: { ...app('s', 'x').metadata, deletionTimestamp: '2026-01-01T00:00:00Z' } }, 'b1'],
      [app('t', 'x'), 'a1'],
    ],
    pod: app('p', 'x', spread()),
    expect: 'b1',
  },
  {
    name: 'with fewer domains than wanted, the emptiest counts as empty',
    nodes: zones,
    placed: oneInEachZone,
    pod: app('p', 'x', spread({ minDomains: 3 })),
    expect: refused('3', `3 ${skewed}`),
  },
  {
    name: 'zones the pod may not go to do not count',
    nodes: [...zones, named('c1', { [zone]: 'c', kind: 'other' })],
    placed: oneInEachZone,
    pod: app('p', 'x', {
      ...spread(),
      affinity: {
        nodeAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [{ matchExpressions: [{ key: 'kind', operator: 'DoesNotExist' }] }] },
        },
      },
    }),
    expect: 'a2',
  },
  {
    name: 'unless they shall',
    nodes: [...zones, named('c1', { [zone]: 'c', kind: 'other' })],
    placed: oneInEachZone,
    pod: app('p', 'x', { ...spread({ nodeAffinityPolicy: 'Ignore' }), nodeSelector: { [zone]: 'a' } }),
    expect: refused('4', "2 node(s) didn't match Pod's node affinity/selector", `2 ${skewed}`),
  },
  {
    name: 'tainted zones count, unless they shall not',
    nodes: [...zones, { ...named('c1', { [zone]: 'c' }), spec: { taints: [{ key: 'k', effect: 'NoSchedule' }] } }],
    placed: oneInEachZone,
    pod: app('p', 'x', spread({ nodeTaintsPolicy: 'Honor' })),
    expect: 'a2',
  },
  {
    name: 'only pods of the same revision count with matchLabelKeys',
    nodes: zones,
    placed: [[{ ...app('q', 'x'), metadata: { ...app('q', 'x').metadata, labels: { app: 'x', rev: '1' } } }, 'b1']],
    pod: (() => {
      const pod = app('p', 'x', { ...spread({ matchLabelKeys: ['rev'] }), nodeSelector: { [hostname]: 'b1' } });
      return { ...pod, metadata: { ...pod.metadata, labels: { app: 'x', rev: '2' } } };
    })(),
    expect: 'b1',
  },
  {
    name: 'a preference is one',
    nodes: zones,
    placed: [
      [app('q', 'x'), 'a1'],
      [app('r', 'x'), 'a2'],
    ],
    pod: app('p', 'x', spread({ whenUnsatisfiable: 'ScheduleAnyway' })),
    expect: 'b1',
  },
  {
    name: 'the default constraints spread what a service selects',
    nodes: zones,
    objects: [selectsX],
    placed: [
      [app('q', 'x'), 'a1'],
      [app('r', 'x'), 'a2'],
    ],
    pod: app('p', 'x'),
    expect: 'b1',
  },
  {
    name: 'required defaults of a configuration',
    nodes: zones,
    profile: {
      pluginConfig: [
        {
          name: 'PodTopologySpread',
          args: { defaultingType: 'List', defaultConstraints: [{ maxSkew: 1, topologyKey: zone, whenUnsatisfiable: 'DoNotSchedule' }] },
        },
      ],
    },
    objects: [selectsX],
    placed: [[app('q', 'x'), 'b1']],
    pod: app('p', 'x', { nodeSelector: { [zone]: 'b' } }),
    expect: 'b1',
  },
]);

// ---- affinity between pods

const near = (more: Partial<V1PodAffinityTerm> = {}): V1PodAffinityTerm => ({
  topologyKey: zone,
  labelSelector: { matchLabels: { app: 'db' } },
  ...more,
});
const requiring = (terms: V1PodAffinityTerm[]): Partial<V1PodSpec> => ({
  affinity: { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: terms } },
});
const avoiding = (terms: V1PodAffinityTerm[]): Partial<V1PodSpec> => ({
  affinity: { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: terms } },
});
const databases: Situation['placed'] = [
  [app('db', 'db'), 'a1'],
  [app('db2', 'db'), 'b1'],
];
const inNamespace = (pod: Pod, namespace: string): Pod => ({ ...pod, metadata: { ...pod.metadata, namespace } });

table('InterPodAffinity', [
  { name: 'near a pod', nodes: zones, placed: [[app('db', 'db'), 'b1']], pod: app('p', 'x', requiring([near()])), expect: 'b1' },
  {
    name: 'nobody to be near',
    nodes: zones,
    pod: app('p', 'x', requiring([near()])),
    expect: refused('3', "3 node(s) didn't match pod affinity rules"),
  },
  { name: 'the first of those that want to be together', nodes: zones, pod: app('p', 'db', requiring([near()])), expect: 'a1' },
  {
    name: 'the first of them still needs the topology',
    nodes: [named('n')],
    pod: app('p', 'db', requiring([near()])),
    expect: refused('1', "1 node(s) didn't match pod affinity rules"),
  },
  {
    name: 'pods of another namespace are not meant',
    nodes: zones,
    placed: [[inNamespace(app('db', 'db'), 'other'), 'b1']],
    pod: app('p', 'x', requiring([near()])),
    expect: refused('3', "3 node(s) didn't match pod affinity rules"),
  },
  {
    name: 'unless it is named',
    nodes: zones,
    placed: [[inNamespace(app('db', 'db'), 'other'), 'b1']],
    pod: app('p', 'x', requiring([near({ namespaces: ['other'] })])),
    expect: 'b1',
  },
  {
    name: 'or chosen by its labels',
    nodes: zones,
    objects: [testNamespace('other', { team: 't' })],
    placed: [[inNamespace(app('db', 'db'), 'other'), 'b1']],
    pod: app('p', 'x', requiring([near({ namespaceSelector: { matchLabels: { team: 't' } } })])),
    expect: 'b1',
  },
  {
    name: 'not by labels it does not have',
    nodes: zones,
    objects: [testNamespace('other', { team: 'u' })],
    placed: [[inNamespace(app('db', 'db'), 'other'), 'b1']],
    pod: app('p', 'x', requiring([near({ namespaceSelector: { matchLabels: { team: 't' } } })])),
    expect: refused('3', "3 node(s) didn't match pod affinity rules"),
  },
  {
    name: 'away from a pod, within the zone',
    nodes: zones,
    placed: [[app('db', 'db'), 'a1']],
    pod: app('p', 'x', avoiding([near()])),
    expect: 'b1',
  },
  {
    name: 'away from pods everywhere',
    nodes: zones,
    placed: databases,
    pod: app('p', 'x', avoiding([near()])),
    expect: refused('3', "3 node(s) didn't match pod anti-affinity rules"),
  },
  {
    name: 'a pod that is there does not want it near',
    nodes: zones,
    placed: [[app('q', 'x', avoiding([near()])), 'a1']],
    pod: app('p', 'db', { nodeSelector: { [zone]: 'a' } }),
    expect: refused('3', "1 node(s) didn't match Pod's node affinity/selector", "2 node(s) didn't satisfy existing pods anti-affinity rules"),
  },
  {
    name: 'nodes without the topology are not near anything',
    nodes: [...zones, named('n')],
    placed: databases,
    pod: app('p', 'x', avoiding([near()])),
    expect: 'n',
  },
  {
    name: 'only pods of the same revision with matchLabelKeys, of others with mismatchLabelKeys',
    nodes: zones,
    placed: [
      [{ ...app('old', 'db'), metadata: { ...app('old', 'db').metadata, labels: { app: 'db', rev: '1' } } }, 'a1'],
      [{ ...app('new', 'db'), metadata: { ...app('new', 'db').metadata, labels: { app: 'db', rev: '2' } } }, 'b1'],
    ],
    pod: (() => {
      const pod = app('p', 'x', {
        affinity: { ...requiring([near({ matchLabelKeys: ['rev'] })]).affinity, ...avoiding([near({ mismatchLabelKeys: ['rev'] })]).affinity },
      });
      return { ...pod, metadata: { ...pod.metadata, labels: { rev: '2' } } };
    })(),
    expect: 'b1',
  },
  {
    name: 'a preference for company',
    nodes: zones,
    placed: [[app('db', 'db'), 'b1']],
    pod: app('p', 'x', {
      affinity: { podAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 100, podAffinityTerm: near() }] } },
    }),
    expect: 'b1',
  },
  {
    name: 'a preference for being alone',
    nodes: zones,
    placed: [[app('db', 'db'), 'a1']],
    pod: app('p', 'x', {
      affinity: { podAntiAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 100, podAffinityTerm: near() }] } },
    }),
    expect: 'b1',
  },
  {
    name: 'a pod that wanted its kind near draws them',
    nodes: zones,
    placed: [
      [app('db', 'db'), 'b1'],
      [app('q', 'x', requiring([near()])), 'b1'],
    ],
    profile: { pluginConfig: [{ name: 'InterPodAffinity', args: { hardPodAffinityWeight: 100 } }] },
    pod: app('p', 'db'),
    expect: 'b1',
  },
]);

// ---- node affinity, resources, images

const sized = (name: string, cpu: string, more: object = {}): Node =>
  testNode(name, {}, {}, { allocatable: { cpu, memory: '4Gi', pods: '110', ...more } });

/** As a daemon set makes them. */
const forNode = (name: string): Pod =>
  testPod('p', {
    affinity: {
      nodeAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: {
          nodeSelectorTerms: [{ matchFields: [{ key: 'metadata.name', operator: 'In', values: [name] }] }],
        },
      },
    },
  });

table('NodeAffinity', [
  {
    name: "a daemon set's pod looks at its node alone",
    nodes: [named('a'), named('b')],
    pod: forNode('b'),
    expect: 'b',
  },
  {
    name: 'and says what it says about the others',
    nodes: [named('a'), named('b', {}, { spec: { unschedulable: true } })],
    pod: forNode('b'),
    expect: refused('2', "1 node(s) didn't satisfy plugin(s) [NodeAffinity]", '1 node(s) were unschedulable'),
  },
  {
    name: 'what the profile adds',
    nodes: [named('a'), named('b', { pool: 'batch' })],
    profile: {
      pluginConfig: [
        {
          name: 'NodeAffinity',
          args: {
            addedAffinity: {
              requiredDuringSchedulingIgnoredDuringExecution: {
                nodeSelectorTerms: [{ matchExpressions: [{ key: 'pool', operator: 'In', values: ['batch'] }] }],
              },
            },
          },
        },
      ],
    },
    pod: testPod('p'),
    expect: 'b',
  },
  {
    name: 'the larger preference',
    nodes: [named('a', { x: '1' }), named('b', { y: '1' })],
    pod: testPod('p', {
      affinity: {
        nodeAffinity: {
          preferredDuringSchedulingIgnoredDuringExecution: [
            { weight: 10, preference: { matchExpressions: [{ key: 'x', operator: 'Exists' }] } },
            { weight: 50, preference: { matchExpressions: [{ key: 'y', operator: 'Exists' }] } },
          ],
        },
      },
    }),
    expect: 'b',
  },
]);

const strategy = (scoringStrategy: object): object => ({
  pluginConfig: [{ name: 'NodeResourcesFit', args: { scoringStrategy } }],
  plugins: { score: { disabled: [{ name: 'NodeResourcesBalancedAllocation' }] } },
});
const half = [[testPod('q', {}, { cpu: '1', memory: '2Gi' }), 'a']] as const;
const small = testPod('p', {}, { cpu: '100m', memory: '100Mi' });

table('NodeResourcesFit', [
  { name: 'the emptiest by default', nodes: [sized('a', '2'), sized('b', '2')], placed: half, pod: small, expect: 'b' },
  {
    name: 'the fullest',
    nodes: [sized('a', '2'), sized('b', '2')],
    placed: half,
    profile: strategy({ type: 'MostAllocated' }),
    pod: small,
    expect: 'a',
  },
  {
    name: 'by a shape of its own',
    nodes: [sized('b', '2'), sized('a', '2')],
    placed: half,
    profile: strategy({
      type: 'RequestedToCapacityRatio',
      resources: [{ name: 'cpu', weight: 3 }],
      requestedToCapacityRatio: {
        shape: [
          { utilization: 0, score: 0 },
          { utilization: 100, score: 10 },
        ],
      },
    }),
    pod: small,
    expect: 'a',
  },
  {
    name: 'overhead counts',
    nodes: [sized('a', '2')],
    pod: testPod('p', { overhead: { cpu: '1' } }, { cpu: '1500m' }),
    expect: refused('1', '1 Insufficient cpu'),
  },
  {
    name: 'what the pod asks for as a whole counts, not what its containers do',
    nodes: [sized('a', '2')],
    pod: testPod('p', { resources: { requests: { cpu: '3' } } }, { cpu: '1' }),
    expect: refused('1', '1 Insufficient cpu'),
  },
  {
    name: 'an ignored extended resource',
    nodes: [sized('a', '2')],
    profile: { pluginConfig: [{ name: 'NodeResourcesFit', args: { ignoredResources: ['example.com/gpu'], ignoredResourceGroups: ['other.com'] } }] },
    pod: testPod('p', {}, { 'example.com/gpu': '1', 'other.com/x': '1' }),
    expect: 'a',
  },
  {
    name: 'everything that is short is said',
    nodes: [sized('a', '2', { 'example.com/gpu': '1' })],
    pod: testPod('p', {}, { cpu: '3', memory: '8Gi', 'example.com/gpu': '2', 'ephemeral-storage': '1' }),
    expect: refused('1', '1 Insufficient cpu', '1 Insufficient ephemeral-storage', '1 Insufficient example.com/gpu', '1 Insufficient memory'),
  },
]);

table('NodeResourcesBalancedAllocation', [
  {
    name: 'where the pod makes the use more even',
    nodes: [sized('a', '2'), sized('b', '2')],
    placed: [
      [testPod('q', {}, { cpu: '1' }), 'a'],
      [testPod('r', {}, { memory: '2Gi' }), 'b'],
    ],
    profile: { plugins: { score: { disabled: [{ name: '*' }], enabled: [{ name: 'NodeResourcesBalancedAllocation' }] } } },
    pod: testPod('p', {}, { cpu: '1' }),
    expect: 'b',
  },
]);

table('ImageLocality', [
  {
    name: 'where the image is',
    nodes: [named('a'), { ...named('b'), status: { ...testNode('b').status, images: [{ names: ['app:latest'], sizeBytes: 500 * 1024 * 1024 }] } }],
    pod: testPod('p'),
    expect: 'b',
  },
  {
    name: 'not for a small one',
    nodes: [named('a'), { ...named('b'), status: { ...testNode('b').status, images: [{ names: ['app:latest'], sizeBytes: 1024 * 1024 }] } }],
    pod: testPod('p'),
    expect: 'a',
  },
]);
