import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Deployment, ReplicaSet } from '../../api/kinds.ts';
import type { V1DeploymentStatus } from '../../api/types.ts';
import { type DeploymentPlan, planDeployment } from './plan.ts';

const nowMs = Date.UTC(2026, 0, 1);
const created = '2026-01-01T00:00:00Z';

function deployment(replicas: number, spec: Partial<Deployment['spec']> = {}, status: V1DeploymentStatus = {}, generation = 1): Deployment {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web', namespace: 'default', uid: 'd', resourceVersion: '1', creationTimestamp: created, generation },
    spec: {
      replicas,
      selector: { matchLabels: { app: 'web' } },
      template: template('v2'),
      progressDeadlineSeconds: 600,
      revisionHistoryLimit: 10,
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: '25%', maxUnavailable: '25%' } },
      ...spec,
    },
    status,
  };
}

function template(image: string): Deployment['spec']['template'] {
  return { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'web', image }] } };
}

/** A replica set of `image` with `replicas` wanted, of which so many are available; revision and age follow from its number. */
function replicaSet(number: number, image: string, replicas: number, available = replicas, desired = 10, max = desired + 3): ReplicaSet {
  const labels = { app: 'web', 'pod-template-hash': `h${number}` };
  return {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: {
      name: `web-h${number}`,
      namespace: 'default',
      uid: `r${number}`,
      resourceVersion: '1',
      creationTimestamp: `2026-01-01T00:00:0${number}Z`,
      generation: 1,
      labels,
      annotations: {
        'deployment.kubernetes.io/revision': String(number),
        'deployment.kubernetes.io/desired-replicas': String(desired),
        'deployment.kubernetes.io/max-replicas': String(max),
      },
    },
    spec: { replicas, selector: { matchLabels: labels }, template: { ...template(image), metadata: { labels } } },
    status: { replicas, readyReplicas: available, availableReplicas: available, observedGeneration: 1 },
  };
}

function plan(wanted: Deployment, replicaSets: readonly ReplicaSet[], running = 0): DeploymentPlan {
  return planDeployment({ deployment: wanted, replicaSets, runningPodsOf: () => running, nowMs });
}

function sizes({ update }: DeploymentPlan): Record<string, number | undefined> {
  return Object.fromEntries(
    update.filter(({ before, after }) => before.spec.replicas !== after.spec.replicas).map(({ after }) => [after.metadata.name, after.spec.replicas]),
  );
}

describe('a deployment without replica sets', () => {
  it('makes one with all its replicas, as revision 1', () => {
    const { create, revision, status } = plan(deployment(3), []);
    assert.equal(create?.spec.replicas, 3);
    assert.equal(create?.metadata.annotations?.['deployment.kubernetes.io/revision'], '1');
    assert.equal(create?.metadata.annotations?.['deployment.kubernetes.io/desired-replicas'], '3');
    assert.equal(create?.metadata.annotations?.['deployment.kubernetes.io/max-replicas'], '4');
    assert.equal(create?.metadata.ownerReferences?.[0]?.uid, 'd');
    const hash = create?.metadata.labels?.['pod-template-hash'];
    assert.equal(create?.metadata.name, `web-${hash}`);
    assert.deepEqual(create?.spec.selector.matchLabels, { app: 'web', 'pod-template-hash': hash });
    assert.deepEqual(create?.spec.template?.metadata?.labels, { app: 'web', 'pod-template-hash': hash });
    assert.equal(revision, '1');
    assert.equal(status.conditions?.find(({ type }) => type === 'Progressing')?.reason, 'NewReplicaSetCreated');
  });

  it('makes none while it is paused or on its way out', () => {
    assert.equal(plan(deployment(3, { paused: true }), []).create, undefined);
    const leaving = deployment(3);
    leaving.metadata.deletionTimestamp = created;
    assert.equal(plan(leaving, []).create, undefined);
  });

  it('takes another name when the hash collided', () => {
    assert.notEqual(plan(deployment(3, {}, { collisionCount: 1 }), []).create?.metadata.name, plan(deployment(3), []).create?.metadata.name);
  });
});

describe('a rolling update of ten', () => {
  const cases: readonly [
    name: string,
    old: readonly [number, number],
    next: readonly [number, number] | undefined,
    expected: Record<string, number>,
  ][] = [
    ['starts with the surge, and lets go of what need not be available', [10, 10], undefined, { 'web-h1': 8 }],
    ['fills the room that old pods left', [8, 8], [3, 0], { 'web-h2': 5 }],
    ['waits while nothing new is available', [8, 8], [5, 0], {}],
    ['lets old ones go as new ones come', [8, 8], [5, 2], { 'web-h1': 6 }],
    ['removes old pods that serve no one first, then one that does', [10, 6], [3, 3], { 'web-h1': 5 }],
    ['ends with none of the old', [2, 2], [10, 10], { 'web-h1': 0 }],
    ['shrinks a new one that is too big', [0, 0], [12, 12], { 'web-h2': 10 }],
  ];
  for (const [name, [oldReplicas, oldAvailable], next, expected] of cases) {
    it(name, () => {
      const replicaSets = [replicaSet(1, 'v1', oldReplicas, oldAvailable), ...(next ? [replicaSet(2, 'v2', next[0], next[1])] : [])];
      const result = plan(deployment(10), replicaSets);
      assert.deepEqual(sizes(result), expected);
      if (!next) assert.equal(result.create?.spec.replicas, 3);
    });
  }

  it('never leaves fewer available, nor more in all, than allowed', () => {
    for (const [oldReplicas, oldAvailable, newReplicas, newAvailable] of [
      [10, 10, 0, 0],
      [8, 7, 5, 1],
      [5, 5, 8, 3],
      [13, 13, 0, 0],
      [1, 1, 10, 7],
    ] as const) {
      const result = sizes(plan(deployment(10), [replicaSet(1, 'v1', oldReplicas, oldAvailable), replicaSet(2, 'v2', newReplicas, newAvailable)]));
      const oldSize = result['web-h1'] ?? oldReplicas;
      const newSize = result['web-h2'] ?? newReplicas;
      assert.ok(Math.min(oldSize, oldAvailable) + newAvailable >= Math.min(8, oldAvailable + newAvailable));
      assert.ok(newSize + oldSize <= Math.max(13, oldReplicas + newReplicas));
    }
  });
});

describe('a deployment that is scaled', () => {
  it('gives it all to the only live replica set', () => {
    assert.deepEqual(sizes(plan(deployment(15), [replicaSet(1, 'v1', 0), replicaSet(2, 'v2', 10)])), { 'web-h2': 15 });
  });

  it('in the middle of a rollout shares by size', () => {
    const result = sizes(plan(deployment(20), [replicaSet(1, 'v1', 8, 8), replicaSet(2, 'v2', 5, 0)]));
    assert.equal((result['web-h1'] ?? 0) + (result['web-h2'] ?? 0), 25);
    assert.deepEqual(result, { 'web-h1': 15, 'web-h2': 10 });
  });

  it('to zero empties all', () => {
    assert.deepEqual(sizes(plan(deployment(0), [replicaSet(1, 'v1', 8, 8), replicaSet(2, 'v2', 5, 0)])), { 'web-h1': 0, 'web-h2': 0 });
  });
});

describe('recreate', () => {
  const recreate = { strategy: { type: 'Recreate' } };
  it('first stops the old', () => {
    const result = plan(deployment(3, recreate), [replicaSet(1, 'v1', 3, 3, 3)], 3);
    assert.deepEqual(sizes(result), { 'web-h1': 0 });
    assert.equal(result.create, undefined);
  });
  it('waits while an old pod runs', () => assert.equal(plan(deployment(3, recreate), [replicaSet(1, 'v1', 0, 0, 3)], 1).create, undefined));
  it('then starts the new at full size', () => assert.equal(plan(deployment(3, recreate), [replicaSet(1, 'v1', 0, 0, 3)]).create?.spec.replicas, 3));
});

describe('revisions', () => {
  it('going back to an old template makes it the newest revision, which remembers the older', () => {
    const result = plan(deployment(10), [replicaSet(1, 'v2', 0), replicaSet(2, 'v1', 10)]);
    const annotations = result.update.find(({ after }) => after.metadata.name === 'web-h1')?.after.metadata.annotations;
    assert.equal(annotations?.['deployment.kubernetes.io/revision'], '3');
    assert.equal(annotations?.['deployment.kubernetes.io/revision-history'], '1');
    assert.equal(result.revision, '3');
    assert.equal(result.create, undefined);
  });

  it('counts them in 64 bits', () => {
    const next = (revision: string): string | undefined => {
      const old = replicaSet(1, 'v1', 0);
      old.metadata.annotations = { ...old.metadata.annotations, 'deployment.kubernetes.io/revision': revision };
      return plan(deployment(1), [old]).revision;
    };
    assert.equal(next('3546343826724305832'), '3546343826724305833');
    assert.equal(next('9223372036854775806'), '9223372036854775807');
    assert.equal(next('9223372036854775808'), '1');
    assert.equal(next('-1'), '1');
  });

  it('drops the oldest beyond the limit, once the rollout is complete', () => {
    const old = [1, 2, 3].map((number) => replicaSet(number, `v0.${number}`, 0));
    const limited = deployment(2, { revisionHistoryLimit: 1 });
    assert.deepEqual(
      plan(limited, [...old, replicaSet(4, 'v2', 2, 2, 2)]).delete.map(({ metadata }) => metadata.name),
      ['web-h1', 'web-h2'],
    );
    assert.deepEqual(plan(limited, [...old, replicaSet(4, 'v2', 2, 1, 2)]).delete, []);
  });

  it('passes annotations on, except its own', () => {
    const annotated = deployment(1);
    annotated.metadata.annotations = {
      team: 'a',
      'kubectl.kubernetes.io/last-applied-configuration': '{}',
      'deployment.kubernetes.io/revision': '7',
    };
    const annotations = plan(annotated, []).create?.metadata.annotations;
    assert.equal(annotations?.['team'], 'a');
    assert.equal(annotations?.['kubectl.kubernetes.io/last-applied-configuration'], undefined);
    assert.equal(annotations?.['deployment.kubernetes.io/revision'], '1');
  });
});

describe('status', () => {
  const progressing = (result: DeploymentPlan) => result.status.conditions?.find(({ type }) => type === 'Progressing');
  const underWay = (lastUpdateTime: string): V1DeploymentStatus => ({
    observedGeneration: 1,
    replicas: 1,
    updatedReplicas: 1,
    conditions: [{ type: 'Progressing', status: 'True', reason: 'ReplicaSetUpdated', lastUpdateTime, lastTransitionTime: lastUpdateTime }],
  });

  it('counts, and says when complete', () => {
    const result = plan(deployment(2), [replicaSet(1, 'v2', 2, 2, 2)]);
    assert.equal(result.status.availableReplicas, 2);
    assert.equal(result.status.updatedReplicas, 2);
    assert.equal(result.status.unavailableReplicas, undefined);
    assert.equal(progressing(result)?.reason, 'NewReplicaSetAvailable');
    assert.equal(result.requeueAfterMs, undefined);
  });

  it('is unavailable below what must be', () => {
    const result = plan(deployment(4), [replicaSet(1, 'v2', 4, 2, 4)]);
    assert.equal(result.status.conditions?.find(({ type }) => type === 'Available')?.reason, 'MinimumReplicasUnavailable');
    assert.equal(result.status.unavailableReplicas, 2);
  });

  it('looks again when the deadline is due', () => {
    const result = plan(deployment(1, {}, underWay('2025-12-31T23:59:00Z')), [replicaSet(1, 'v2', 1, 0, 1)]);
    assert.equal(progressing(result)?.reason, 'ReplicaSetUpdated');
    assert.equal(result.requeueAfterMs, 541_000);
  });

  it('says when the deadline has passed', () => {
    const result = plan(deployment(1, {}, underWay('2025-12-31T23:49:00Z')), [replicaSet(1, 'v2', 1, 0, 1)]);
    assert.deepEqual([progressing(result)?.status, progressing(result)?.reason], ['False', 'ProgressDeadlineExceeded']);
    assert.equal(progressing(result)?.message, 'ReplicaSet "web-h1" has timed out progressing.');
  });

  it('is the same the second time', () => {
    const replicaSets = [replicaSet(1, 'v2', 2, 1, 2)];
    const first = plan(deployment(2), replicaSets);
    const second = plan({ ...deployment(2), status: first.status }, replicaSets);
    assert.deepEqual(second.status, first.status);
    assert.deepEqual(second.update, []);
  });
});
