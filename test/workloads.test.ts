/** Stock kubectl on all workloads: every rollout verb, scaling, draining, tainting, waiting, watching and creating, with simulated containers. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type ClusterUnderTest, eventually, startClusterUnderTest } from './support/cluster-under-test.ts';
import { stockTools } from './support/stock-tools.ts';

const deployment = `
apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  replicas: 2
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec: { terminationGracePeriodSeconds: 0, containers: [{ name: a, image: 'a:1' }] }
`;
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

  test('a deployment goes through every rollout verb', async () => {
    await apply(deployment);
    assert.match(await kubectl('rollout status deployment/web --timeout=30s'), /successfully rolled out/);
    await kubectl('set image deployment/web a=a:2');
    await kubectl('annotate deployment/web kubernetes.io/change-cause=second');
    await kubectl('rollout status deployment/web --timeout=30s');
    assert.match(await kubectl('rollout history deployment/web'), /^1 +<none>\n2 +second$/m);
    assert.match(await kubectl('rollout history deployment/web --revision=1'), /Image:\s+a:1/);

    await kubectl('rollout pause deployment/web');
    await kubectl('set image deployment/web a=a:3');
    await kubectl('wait --for=jsonpath={.status.observedGeneration}=4 deployment/web --timeout=30s');
    assert.equal(await images('web'), 'a:2 a:2');
    const undone = await cluster.tryKubectl('rollout undo deployment/web');
    assert.match(undone.stderr, /you cannot rollback a paused deployment/);
    await kubectl('rollout resume deployment/web');
    await kubectl('rollout status deployment/web --timeout=30s');

    await kubectl('rollout undo deployment/web --to-revision=1');
    await kubectl('rollout status deployment/web --timeout=30s');
    await kubectl('wait --for=jsonpath={.status.replicas}=2 deployment/web --timeout=30s');
    const left = async (): Promise<true | undefined> => ((await images('web')) === 'a:1 a:1' ? true : undefined);
    await eventually('only pods of the first image are left', left);
    await kubectl('rollout restart deployment/web');
    await kubectl('rollout status deployment/web --timeout=30s');
    assert.match(await kubectl('rollout history deployment/web'), /^2 .*\n3 .*\n4 .*\n5 /m);
    assert.match(await kubectl('get deployment web -o jsonpath={.spec.template.metadata.annotations}'), /kubectl.kubernetes.io\/restartedAt/);
  });

  test('a deployment is scaled, on conditions, and autoscaled', async () => {
    await kubectl('scale deployment/web --replicas=3 --current-replicas=2');
    await kubectl('wait --for=condition=Available deployment/web --timeout=30s');
    await kubectl('wait --for=jsonpath={.status.readyReplicas}=3 deployment/web --timeout=30s');
    const refused = await cluster.tryKubectl('scale deployment/web --replicas=1 --current-replicas=7');
    assert.match(refused.stderr, /Expected replicas to be 7, was 3/);
    await kubectl('autoscale deployment web --min=4 --max=6 --cpu=50%');
    await kubectl('wait --for=jsonpath={.status.readyReplicas}=4 deployment/web --timeout=60s');
    assert.match(await kubectl('get hpa web'), /Deployment\/web +cpu: <unknown>\/50% +4 +6 /);
    await kubectl('delete hpa web');
  });

  test('get -w shows each change as it comes', async () => {
    const { kubectl: program } = stockTools();
    const watch = spawn(program, ['get', 'deployment', 'web', '-w', '-o', 'jsonpath={.spec.replicas} '], { env: { ...process.env, ...cluster.env } });
    try {
      let printed = '';
      watch.stdout.setEncoding('utf8').on('data', (text: string) => (printed += text));
      const shows = (text: RegExp): Promise<true> => eventually(String(text), async () => (text.test(printed) ? true : undefined));
      await shows(/4 /);
      await kubectl('scale deployment/web --replicas=2');
      await shows(/4 .*2 /s);
    } finally {
      const ended = once(watch, 'exit');
      watch.kill();
      await ended;
    }
    await kubectl('rollout status deployment/web --timeout=30s');
  });

  test('drain respects budgets, uncordon lets pods come back', async () => {
    const node = (await kubectl('get nodes -o jsonpath={.items[0].metadata.name}')).trim();
    await kubectl('create pdb web --selector=app=web --min-available=2');
    await kubectl('wait --for=jsonpath={.status.currentHealthy}=2 pdb/web --timeout=30s');
    // Whatever else runs there is none of this test's business.
    const drain = `drain ${node} --ignore-daemonsets --delete-emptydir-data --force --pod-selector=app=web`;
    const refused = await cluster.tryKubectl(`${drain} --timeout=3s`);
    assert.notEqual(refused.code, 0);
    assert.match(refused.stderr, /Cannot evict pod as it would violate the pod's disruption budget/);
    assert.match(await kubectl(`get node ${node}`), /Ready,SchedulingDisabled/);
    await kubectl('wait --for=jsonpath={.status.readyReplicas}=2 deployment/web --timeout=30s');
    await kubectl('delete pdb web');
    assert.match(await kubectl(`${drain} --timeout=60s`), /node\/\S+ drained/);
    const pending = 'get pods -l app=web -o jsonpath={.items[*].status.conditions[?(@.type=="PodScheduled")].reason}';
    await eventually('their successors find no node', async () => ((await kubectl(pending)) === 'Unschedulable Unschedulable' ? true : undefined));
    await kubectl(`uncordon ${node}`);
    await kubectl('wait --for=condition=Ready pod -l app=web --timeout=30s');
  });

  test('a taint drives pods out and keeps them out, until it is taken away', async () => {
    const node = (await kubectl('get nodes -o jsonpath={.items[0].metadata.name}')).trim();
    assert.match(await kubectl(`taint node ${node} broken=yes:NoExecute`), /tainted/);
    await kubectl('wait --for=jsonpath={.status.unavailableReplicas}=2 deployment/web --timeout=30s');
    await kubectl(`taint node ${node} broken=no:NoExecute --overwrite`);
    assert.equal(await kubectl(`get node ${node} -o jsonpath={.spec.taints[*].value}`), 'no');
    assert.match(await kubectl(`taint node ${node} broken-`), /untainted/);
    await kubectl('wait --for=condition=Available deployment/web --timeout=30s');
    const late = await cluster.tryKubectl('wait --for=jsonpath={.status.readyReplicas}=9 deployment/web --timeout=1s');
    assert.match(late.stderr, /timed out waiting for the condition on deployments\/web/);
    await kubectl('delete deployment web');
    await kubectl('wait --for=delete pod -l app=web --timeout=30s');
  });

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
    await kubectl('rollout restart daemonset/agent');
    await kubectl('rollout status daemonset/agent --timeout=30s');
    assert.match(await kubectl('rollout history daemonset/agent'), /^2 .*\n3 .*\n4 /m);
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
