/** Stock kubectl on daemon sets, stateful sets, jobs and cron jobs: its rollout verbs, waits and creations, with simulated containers. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type ClusterUnderTest, startClusterUnderTest } from './support/cluster-under-test.ts';

const daemonSet = `
apiVersion: apps/v1
kind: DaemonSet
metadata: { name: agent }
spec:
  selector: { matchLabels: { app: agent } }
  template:
    metadata: { labels: { app: agent } }
    spec: { containers: [{ name: a, image: 'a:1' }] }
`;
const statefulSet = `
apiVersion: apps/v1
kind: StatefulSet
metadata: { name: db }
spec:
  replicas: 2
  serviceName: db
  selector: { matchLabels: { app: db } }
  template:
    metadata: { labels: { app: db } }
    spec: { containers: [{ name: a, image: 'a:1' }] }
`;
const cronJob = `
apiVersion: batch/v1
kind: CronJob
metadata: { name: yearly }
spec:
  schedule: '@yearly'
  jobTemplate:
    spec:
      completions: 2
      completionMode: Indexed
      template:
        metadata: { annotations: { simulated.k8ts.local/run-time-ms: '200' } }
        spec: { restartPolicy: Never, containers: [{ name: a, image: 'a:1' }] }
`;
const failingJob = `
apiVersion: batch/v1
kind: Job
metadata: { name: failing }
spec:
  backoffLimit: 0
  template:
    metadata: { annotations: { simulated.k8ts.local/run-time-ms: '100', simulated.k8ts.local/exit-code: '3' } }
    spec: { restartPolicy: Never, containers: [{ name: a, image: 'a:1' }] }
`;

describe('workloads', () => {
  let cluster: ClusterUnderTest;
  before(async () => {
    cluster = await startClusterUnderTest('--runtime', 'simulated');
  });
  after(async () => cluster?.close());
  const kubectl = (words: string): Promise<string> => cluster.kubectl(words);
  const apply = (yaml: string): Promise<string> => cluster.kubectl('apply -f -', { input: yaml });
  const images = (app: string): Promise<string> => kubectl(`get pods -l app=${app} -o jsonpath={.items[*].spec.containers[0].image}`);

  test('a daemon set rolls out, shows its history and is undone', async () => {
    await apply(daemonSet);
    assert.match(await kubectl('rollout status daemonset/agent --timeout=30s'), /successfully rolled out/);
    await kubectl('set image daemonset/agent a=a:2');
    await kubectl('rollout status daemonset/agent --timeout=30s');
    assert.match(await kubectl('rollout history daemonset/agent'), /^1 .*\n2 /m);
    await kubectl('rollout undo daemonset/agent');
    await kubectl('rollout status daemonset/agent --timeout=30s');
    assert.equal(await images('agent'), 'a:1');
    assert.match(await kubectl('rollout history daemonset/agent'), /^2 .*\n3 /m);
    assert.match(await kubectl('rollout history daemonset/agent --revision=3'), /Image:\s+a:1/);
  });

  test('a stateful set rolls out, is scaled, restarted and undone', async () => {
    await apply(statefulSet);
    await kubectl('rollout status statefulset/db --timeout=30s');
    await kubectl('set image statefulset/db a=a:2');
    await kubectl('rollout status statefulset/db --timeout=30s');
    assert.equal(await images('db'), 'a:2 a:2');
    await kubectl('rollout undo statefulset/db --to-revision=1');
    await kubectl('rollout status statefulset/db --timeout=30s');
    assert.equal(await images('db'), 'a:1 a:1');
    await kubectl('rollout restart statefulset/db');
    await kubectl('rollout status statefulset/db --timeout=30s');
    await kubectl('scale statefulset/db --replicas=3');
    await kubectl('wait --for=jsonpath={.status.readyReplicas}=3 statefulset/db --timeout=30s');
    assert.equal(await kubectl('get pods -l app=db -o name'), 'pod/db-0\npod/db-1\npod/db-2\n');
  });

  test('a job is created from a cron job, and completes', async () => {
    await apply(cronJob);
    await kubectl('create job now --from=cronjob/yearly');
    await kubectl('wait --for=condition=complete job/now --timeout=30s');
    assert.equal(await kubectl('get job now -o jsonpath={.status.succeeded}/{.status.completedIndexes}'), '2/0,1');
    assert.match(await kubectl('get jobs now'), /Complete\s+2\/2/);
    await kubectl('delete cronjob yearly --wait');
    await kubectl('wait --for=delete job/now --timeout=30s');
  });

  test('a job that fails says why', async () => {
    await apply(failingJob);
    await kubectl('wait --for=condition=failed job/failing --timeout=30s');
    assert.match(await kubectl('describe job failing'), /BackoffLimitExceeded\s+\S+\s+job-controller\s+Job has reached the specified backoff limit/);
    await kubectl('delete job failing --timeout=30s');
    await kubectl('wait --for=delete pod -l job-name=failing --timeout=30s');
  });
});
