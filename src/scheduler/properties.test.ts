/** What holds for whatever nodes and pods there are. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Pod } from '../api/kinds.ts';
import { ClusterState } from './cluster-state.ts';
import { podInfo } from './pod-info.ts';
import { nodesToFind } from './profile.ts';
import { schedule } from './schedule.ts';
import { testNode, testPod } from './test-objects.ts';
import { testProfile } from './test-profile.ts';

const zone = 'topology.kubernetes.io/zone';
const profile = testProfile();

const cluster = fc.record({
  nodes: fc.array(fc.record({ cpu: fc.integer({ min: 1, max: 40 }), zone: fc.integer({ min: 0, max: 2 }), pods: fc.integer({ min: 1, max: 10 }) }), {
    minLength: 1,
    maxLength: 8,
  }),
  pods: fc.array(fc.record({ cpu: fc.integer({ min: 0, max: 15 }), goes: fc.boolean(), kind: fc.constantFrom('plain', 'spread', 'alone') }), {
    maxLength: 40,
  }),
  chances: fc.array(fc.double({ min: 0, max: 0.99, noNaN: true }), { minLength: 40, maxLength: 40 }),
});

const labelled = (pod: Pod, app: string): Pod => ({ ...pod, metadata: { ...pod.metadata, labels: { app } } });

function podOf(index: number, { cpu, kind }: { cpu: number; kind: string }): Pod {
  const labelSelector = { matchLabels: { app: kind } };
  const requests = { cpu: `${cpu * 100}m` };
  if (kind === 'spread') {
    return labelled(
      testPod(
        `p${index}`,
        { topologySpreadConstraints: [{ maxSkew: 2, topologyKey: zone, whenUnsatisfiable: 'DoNotSchedule', labelSelector }] },
        requests,
      ),
      kind,
    );
  }
  if (kind === 'alone') {
    const podAntiAffinity = { requiredDuringSchedulingIgnoredDuringExecution: [{ topologyKey: 'kubernetes.io/hostname', labelSelector }] };
    return labelled(testPod(`p${index}`, { affinity: { podAntiAffinity } }, requests), kind);
  }
  return labelled(testPod(`p${index}`, {}, requests), kind);
}

type Drawn = typeof cluster extends fc.Arbitrary<infer T> ? T : never;

/** Schedules all of them, some of which end at once; answers where each was put, in order. */
function run({ nodes, pods, chances }: Drawn): { state: ClusterState; placements: string[] } {
  const state = new ClusterState();
  for (const [index, { cpu, zone: name, pods: room }] of nodes.entries()) {
    const labels = { [zone]: `z${name}`, 'kubernetes.io/hostname': `n${index}` };
    state.setNode(testNode(`n${index}`, {}, labels, { allocatable: { cpu: `${cpu * 100}m`, memory: '100Gi', pods: String(room) } }));
  }
  let start = 0;
  const placements = pods.map((drawn, index) => {
    const info = podInfo(podOf(index, drawn));
    const decision = schedule(state, info, profile, { chance: chances[index] ?? 0, start });
    start += decision.looked;
    if (decision.type === 'refused') return '';
    state.assume(info, decision.nodeName);
    if (drawn.goes) state.removePod(info.key);
    return decision.nodeName;
  });
  return { state, placements };
}

test('property: nodes are never overcommitted, spread is kept, and those who want to be alone are', () => {
  fc.assert(
    fc.property(cluster, (drawn) => {
      const { state } = run(drawn);
      const spreadBy = new Map<string, number>(drawn.nodes.map((node) => [`z${node.zone}`, 0]));
      for (const [index, { cpu, pods, zone: name }] of drawn.nodes.entries()) {
        const row = state.node(`n${index}`);
        const infos = [...(row?.pods.values() ?? [])];
        const used = infos.reduce((sum, { requests }) => sum + (requests.get('cpu') ?? 0), 0);
        assert(used <= cpu * 100, `n${index} has ${used} of ${cpu * 100}`);
        assert.equal(used, state.requested.column('cpu')[row?.index ?? 0], 'the columns say the same');
        assert(infos.length <= pods);
        assert(infos.filter(({ labels }) => labels['app'] === 'alone').length <= 1);
        spreadBy.set(`z${name}`, (spreadBy.get(`z${name}`) ?? 0) + infos.filter(({ labels }) => labels['app'] === 'spread').length);
      }
      // Pods that ended may leave any skew behind: it is kept only while pods come.
      if (drawn.pods.every(({ goes, kind }) => !goes || kind !== 'spread')) {
        const counts = [...spreadBy.values()];
        assert(Math.max(...counts) - Math.min(...counts) <= 2, `skew of ${counts.join(', ')}`);
      }
    }),
    { numRuns: 100 },
  );
});

test('property: the same numbers give the same decisions', () => {
  fc.assert(
    fc.property(cluster, (drawn) => assert.deepEqual(run(drawn).placements, run(drawn).placements)),
    { numRuns: 25 },
  );
});

test('property: counts kept current are those one would count anew', () => {
  fc.assert(
    fc.property(cluster, (drawn) => {
      const { state } = run(drawn);
      for (const app of ['spread', 'alone', 'plain']) {
        const match = (id: string): Parameters<typeof state.podCounts>[0] => ({
          id,
          namespace: 'default',
          byNamespaceLabels: false,
          matches: ({ labels }) => labels['app'] === app,
        });
        const kept = state.podCounts({ ...match(app === 'spread' ? 'spread default app=spread' : app) });
        assert.deepEqual([...kept], [...state.podCounts(match(`anew ${app}`))]);
      }
    }),
    { numRuns: 50 },
  );
});

test('how many nodes are looked for', () => {
  const cases = [
    [10, 0, 10],
    [99, 0, 99],
    [100, 0, 100],
    [1000, 0, 420],
    [5000, 0, 500],
    [6000, 0, 300],
    [15_000, 0, 750],
    [1000, 30, 300],
    [1000, 100, 1000],
    [150, 10, 100],
  ] as const;
  for (const [nodes, percentage, expected] of cases) assert.equal(nodesToFind(nodes, percentage), expected, `${nodes} nodes, ${percentage} %`);
});

test('a search that ends early goes on where it ended, in all zones in turn', () => {
  const state = new ClusterState();
  for (let i = 0; i < 300; i++) state.setNode(testNode(`n${i}`, {}, { [zone]: i < 200 ? 'a' : 'b' }));
  const decision = schedule(state, podInfo(testPod('p')), { ...profile, percentageOfNodesToScore: 34 }, { chance: 0, start: 290 });
  assert.equal(decision.looked, 102);
  assert.equal(decision.type === 'placed' && decision.fitting.length, 102);
  const names = state.nodes.slice(0, 4).map((row) => row.node?.metadata.labels?.[zone]);
  assert.deepEqual(names, ['a', 'b', 'a', 'b']);
});
