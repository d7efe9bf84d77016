import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testProfile } from '../test-profile.ts';
import { ConfigurationError, parseConfiguration } from './configuration.ts';

const head = 'apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\n';

test('an empty configuration is the default one', () => {
  const { profiles, percentageOfNodesToScore, podInitialBackoffMs, podMaxBackoffMs } = parseConfiguration(head);
  assert.deepEqual(
    [profiles.map(({ schedulerName }) => schedulerName), percentageOfNodesToScore, podInitialBackoffMs, podMaxBackoffMs],
    [['default-scheduler'], 0, 1000, 10_000],
  );
});

test('the default profile has every plugin of upstream, in its order, with its weights', () => {
  const { filter, score, postFilter, bind, queueSort } = testProfile();
  assert.deepEqual(
    filter.map(({ name }) => name),
    [
      'NodeUnschedulable',
      'NodeName',
      'TaintToleration',
      'NodeAffinity',
      'NodePorts',
      'NodeResourcesFit',
      'VolumeRestrictions',
      'NodeVolumeLimits',
      'VolumeBinding',
      'VolumeZone',
      'PodTopologySpread',
      'InterPodAffinity',
      'DynamicResources',
    ],
  );
  assert.deepEqual(Object.fromEntries(score.map(({ plugin, weight }) => [plugin.name, weight])), {
    TaintToleration: 3,
    NodeAffinity: 2,
    NodeResourcesFit: 1,
    PodTopologySpread: 2,
    InterPodAffinity: 2,
    DynamicResources: 1,
    NodeResourcesBalancedAllocation: 1,
    ImageLocality: 1,
  });
  assert.deepEqual(
    [...postFilter, ...bind, queueSort].map(({ name }) => name),
    ['DynamicResources', 'DefaultPreemption', 'DefaultBinder', 'PrioritySort'],
  );
});

test('plugins are left out, weighed differently and put first', () => {
  const { filter, score } = testProfile({
    plugins: {
      multiPoint: { enabled: [{ name: 'NodeAffinity', weight: 7 }], disabled: [{ name: 'ImageLocality' }] },
      score: { disabled: [{ name: 'NodeResourcesFit' }] },
      filter: { enabled: [{ name: 'NodePorts' }], disabled: [{ name: 'NodeName' }] },
    },
  });
  const scores = Object.fromEntries(score.map(({ plugin, weight }) => [plugin.name, weight]));
  assert.equal(scores['NodeAffinity'], 7);
  assert.equal('ImageLocality' in scores || 'NodeResourcesFit' in scores, false);
  assert.equal(filter[0]?.name, 'NodePorts');
  assert.equal(filter.filter(({ name }) => name === 'NodePorts').length, 1);
  assert.equal(
    filter.some(({ name }) => name === 'NodeName'),
    false,
  );
});

test('everything off but what is named', () => {
  const { score, filter } = testProfile({
    plugins: { score: { disabled: [{ name: '*' }], enabled: [{ name: 'ImageLocality', weight: 5 }] }, filter: { disabled: [{ name: '*' }] } },
  });
  assert.deepEqual(
    score.map(({ plugin, weight }) => [plugin.name, weight]),
    [['ImageLocality', 5]],
  );
  assert.deepEqual(filter, []);
});

const wrong: readonly (readonly [string, string, RegExp])[] = [
  ['no YAML', 'a: [', /^cannot be read: /],
  ['another kind', 'kind: Pod', /^kind: Invalid value: "Pod": must be "KubeSchedulerConfiguration"/],
  ['another version', 'kind: KubeSchedulerConfiguration\napiVersion: kubescheduler.config.k8s.io/v1beta3', /^apiVersion: Invalid value/],
  ['a field nobody knows', `${head}profile: []`, /^profile: unknown field; there are /],
  ['a field of a profile', `${head}profiles: [{name: x}]`, /^profiles\[0\]\.name: unknown field/],
  [
    'a percentage above 100',
    `${head}percentageOfNodesToScore: 101`,
    /^percentageOfNodesToScore: Invalid value: 101: must be a whole number from 0 to 100/,
  ],
  ['a back-off of nothing', `${head}podInitialBackoffSeconds: 0`, /^podInitialBackoffSeconds: Invalid value: 0/],
  [
    'a longest back-off below the first',
    `${head}podInitialBackoffSeconds: 5\npodMaxBackoffSeconds: 4`,
    /^podMaxBackoffSeconds: .*greater than or equal to/,
  ],
  ['two profiles of one name', `${head}profiles: [{schedulerName: a}, {schedulerName: a}]`, /^profiles\[1\]\.schedulerName: Duplicate value: "a"/],
  ['a list where an object belongs', `${head}profiles: [[]]`, /^profiles\[0\]: Invalid value: \[\]: must be an object/],
  ['an extender without address', `${head}extenders: [{filterVerb: x}]`, /^extenders\[0\]\.urlPrefix: .*must be a URL/],
  ['an extender that scores without weight', `${head}extenders: [{urlPrefix: 'http://x', prioritizeVerb: p}]`, /^extenders\[0\]\.weight: /],
  [
    'two extenders that bind',
    `${head}extenders: [{urlPrefix: 'http://x', bindVerb: b}, {urlPrefix: 'http://y', bindVerb: b}]`,
    /only one extender can implement bind/,
  ],
];
for (const [name, text, message] of wrong) {
  test(`configuration refused: ${name}`, () =>
    assert.throws(
      () => parseConfiguration(text),
      (error) => error instanceof ConfigurationError && message.test(error.message),
    ));
}

const wrongProfiles: readonly (readonly [string, object, RegExp])[] = [
  [
    'a plugin nobody knows',
    { plugins: { score: { enabled: [{ name: 'Nope' }] } } },
    /^profiles\[0\]\.plugins\.score: Not found: "Nope"; there are DefaultBinder/,
  ],
  ['arguments for one', { pluginConfig: [{ name: 'Nope' }] }, /^profiles\[0\]\.pluginConfig: Not found: "Nope"/],
  ['no binder', { plugins: { bind: { disabled: [{ name: '*' }] } } }, /at least one bind plugin is needed/],
  ['no order', { plugins: { queueSort: { disabled: [{ name: '*' }] } } }, /one queueSort plugin is required/],
  [
    'arguments of another plugin',
    { pluginConfig: [{ name: 'InterPodAffinity', args: { kind: 'NodeAffinityArgs' } }] },
    /kind: Invalid value: .*InterPodAffinityArgs/,
  ],
  [
    'an argument nobody knows',
    { pluginConfig: [{ name: 'InterPodAffinity', args: { hardWeight: 1 } }] },
    /^profiles\[0\]\.pluginConfig\[InterPodAffinity\]\.args\.hardWeight: unknown field; there are apiVersion, hardPodAffinityWeight/,
  ],
  [
    'a weight above 100',
    { pluginConfig: [{ name: 'InterPodAffinity', args: { hardPodAffinityWeight: 101 } }] },
    /hardPodAffinityWeight: Invalid value: 101/,
  ],
  [
    'a strategy nobody knows',
    { pluginConfig: [{ name: 'NodeResourcesFit', args: { scoringStrategy: { type: 'Best' } } }] },
    /Unsupported value: "Best"/,
  ],
  [
    'a ratio without a shape',
    { pluginConfig: [{ name: 'NodeResourcesFit', args: { scoringStrategy: { type: 'RequestedToCapacityRatio' } } }] },
    /requestedToCapacityRatio: Required value/,
  ],
  [
    'a shape that does not rise',
    {
      pluginConfig: [
        {
          name: 'NodeResourcesFit',
          args: {
            scoringStrategy: {
              type: 'RequestedToCapacityRatio',
              requestedToCapacityRatio: {
                shape: [
                  { utilization: 50, score: 0 },
                  { utilization: 50, score: 1 },
                ],
              },
            },
          },
        },
      ],
    },
    /must be sorted in increasing order/,
  ],
  [
    'default constraints of the system and of one’s own',
    {
      pluginConfig: [
        { name: 'PodTopologySpread', args: { defaultConstraints: [{ maxSkew: 1, topologyKey: 'z', whenUnsatisfiable: 'DoNotSchedule' }] } },
      ],
    },
    /must be "List"/,
  ],
  [
    'no candidates at all',
    { pluginConfig: [{ name: 'DefaultPreemption', args: { minCandidateNodesPercentage: 0, minCandidateNodesAbsolute: 0 } }] },
    /cannot both be zero/,
  ],
];
for (const [name, profile, message] of wrongProfiles) {
  test(`profile refused: ${name}`, () =>
    assert.throws(
      () => testProfile(profile),
      (error) => error instanceof ConfigurationError && message.test(error.message),
    ));
}
