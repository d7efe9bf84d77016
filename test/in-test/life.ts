/** A few minutes of a cluster's life, drawn from its seed: workloads come, change, are disturbed and go. */
import {
  type Cluster,
  CronJob,
  DaemonSet,
  Deployment,
  isReason,
  Job,
  type KubeObject,
  Namespace,
  Node,
  Pod,
  ResourceQuota,
  StatefulSet,
  type VirtualCluster,
} from '../../src/index.ts';
import type { Kind } from '../../src/api/kind.ts';
import type { Random } from '../../src/world/world.ts';

const script = (name: string): string => `simulated.k8ts.local/${name}`;
const container = { name: 'main', image: 'app:1', readinessProbe: { httpGet: { port: 80 }, periodSeconds: 2 } };

function template(app: string, random: Random): object {
  const annotations = {
    [script('ready-after-ms')]: String(random.int(4000)),
    [script('start-delay-ms')]: String(random.int(1500)),
    [script('stop-delay-ms')]: String(random.int(3000)),
  };
  return { metadata: { labels: { app }, annotations }, spec: { terminationGracePeriodSeconds: 5, containers: [container] } };
}

function deployment(name: string, random: Random): object {
  const rollingUpdate = random.int(2) === 0 ? { maxSurge: 1, maxUnavailable: 0 } : { maxSurge: '50%', maxUnavailable: 1 };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name },
    spec: { replicas: 1 + random.int(5), selector: { matchLabels: { app: name } }, strategy: { rollingUpdate }, template: template(name, random) },
  };
}

function job(name: string, random: Random): object {
  const annotations: Record<string, string> = { [script('run-time-ms')]: String(500 + random.int(8000)) };
  const indexed = random.int(3) > 0;
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name },
    spec: {
      completions: 1 + random.int(6),
      parallelism: 1 + random.int(4),
      backoffLimit: 50,
      ...(indexed && { completionMode: 'Indexed' }),
      template: {
        metadata: { annotations },
        spec: { restartPolicy: random.int(2) === 0 ? 'Never' : 'OnFailure', containers: [{ name: 'main', image: 'batch:1' }] },
      },
    },
  };
}

const first = (random: Random): readonly object[] => [
  { apiVersion: 'v1', kind: 'ResourceQuota', metadata: { name: 'pods' }, spec: { hard: { pods: '40' } } },
  deployment('web', random),
  deployment('api', random),
  { apiVersion: 'v1', kind: 'Service', metadata: { name: 'web' }, spec: { selector: { app: 'web' }, ports: [{ port: 80 }], type: 'NodePort' } },
  { apiVersion: 'v1', kind: 'Service', metadata: { name: 'db' }, spec: { clusterIP: 'None', selector: { app: 'db' }, ports: [{ port: 5432 }] } },
  {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: { name: 'web' },
    spec: { maxUnavailable: 1, selector: { matchLabels: { app: 'web' } } },
  },
  {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: { name: 'db' },
    spec: { serviceName: 'db', replicas: 1 + random.int(3), selector: { matchLabels: { app: 'db' } }, template: template('db', random) },
  },
  {
    apiVersion: 'apps/v1',
    kind: 'DaemonSet',
    metadata: { name: 'agent' },
    spec: { selector: { matchLabels: { app: 'agent' } }, template: template('agent', random) },
  },
  job('batch', random),
  {
    apiVersion: 'batch/v1',
    kind: 'CronJob',
    metadata: { name: 'tick' },
    spec: {
      schedule: '* * * * *',
      concurrencyPolicy: 'Forbid',
      jobTemplate: {
        spec: {
          template: {
            metadata: { annotations: { [script('run-time-ms')]: '2000' } },
            spec: { restartPolicy: 'OnFailure', containers: [{ name: 'main', image: 'tick:1' }] },
          },
        },
      },
    },
  },
];

/** One thing that somebody does to the cluster. */
type Deed = (cluster: Cluster, random: Random, count: number) => Promise<unknown>;

const one = async <T extends KubeObject>(cluster: Cluster, kind: Kind<T>, random: Random): Promise<T | undefined> => {
  const resource = cluster.client.resource(kind);
  const { items } = await (kind.namespaced ? resource.namespace('default') : resource).list();
  return items[random.int(Math.max(1, items.length))];
};

const deeds: Readonly<Record<string, Deed>> = {
  async scale(cluster, random) {
    const kind = random.int(4) === 0 ? StatefulSet : Deployment;
    const found = await one<Deployment | StatefulSet>(cluster, kind, random);
    if (found)
      await cluster.client
        .resource<KubeObject>(kind)
        .namespace('default')
        .patch(found.metadata.name, { spec: { replicas: random.int(7) } });
  },
  async rollOut(cluster, random, count) {
    const kind: Kind = [Deployment, Deployment, StatefulSet, DaemonSet][random.int(4)] ?? Deployment;
    const found = await one<KubeObject>(cluster, kind, random);
    const patch = { spec: { template: { metadata: { annotations: { round: String(count) } } } } };
    if (found) await cluster.client.resource<KubeObject>(kind).namespace('default').patch(found.metadata.name, patch, { type: 'strategic' });
  },
  async deletePod(cluster, random) {
    const pod = await one(cluster, Pod, random);
    if (pod) await cluster.client.resource(Pod).namespace('default').delete(pod.metadata.name);
  },
  async evict(cluster, random) {
    const { items } = await cluster.client.resource(Pod).namespace('default').list({ labelSelector: 'app=web' });
    const pod = items[random.int(Math.max(1, items.length))];
    const eviction = { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name: pod?.metadata.name } };
    if (pod) await cluster.client.resource(Pod).namespace('default').createSubresource(pod.metadata.name, 'eviction', eviction);
  },
  newJob: (cluster, random, count) => cluster.apply(job(`job-${count}`, random)),
  async deleteJob(cluster, random) {
    const found = await one(cluster, Job, random);
    const propagationPolicy = random.int(2) === 0 ? 'Background' : 'Foreground';
    if (found) await cluster.client.resource(Job).namespace('default').delete(found.metadata.name, { propagationPolicy });
  },
  newDeployment: (cluster, random, count) => cluster.apply(deployment(`app-${count}`, random)),
  async deleteDeployment(cluster, random) {
    const found = await one(cluster, Deployment, random);
    const propagationPolicy = random.int(2) === 0 ? 'Background' : 'Foreground';
    if (found && found.metadata.name !== 'web')
      await cluster.client.resource(Deployment).namespace('default').delete(found.metadata.name, { propagationPolicy });
  },
  async cordon(cluster, random) {
    const node = await one(cluster, Node, random);
    if (node) await cluster.client.resource(Node).patch(node.metadata.name, { spec: { unschedulable: random.int(2) === 0 } });
  },
  newNamespace: (cluster, random, count) =>
    cluster.apply([
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name: `ns-${count}` } },
      { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'settings', namespace: `ns-${count}` }, data: { a: '1' } },
      { ...deployment('app', random), metadata: { name: 'app', namespace: `ns-${count}` } },
    ]),
  async deleteNamespace(cluster, random) {
    const { items } = await cluster.client.resource(Namespace).list();
    const own = items.filter(({ metadata }) => metadata.name.startsWith('ns-'));
    const found = own[random.int(Math.max(1, own.length))];
    if (found) await cluster.client.resource(Namespace).delete(found.metadata.name);
  },
};

/** Lives so many rounds; `faults` of the cluster act meanwhile. */
export async function live(cluster: VirtualCluster, random: Random, rounds: number): Promise<void> {
  const attempt = async (deed: () => Promise<unknown>): Promise<void> => {
    try {
      await deed();
    } catch (error) {
      // Whoever lives here takes a refusal for an answer: budgets, quotas, what is gone already, a server that is down.
      if (!isReason(error, 'NotFound', 'TooManyRequests', 'Conflict', 'Forbidden', 'AlreadyExists', 'InternalError') && !isConnectionError(error))
        throw error;
    }
  };
  for (const manifest of first(random)) {
    // The first things are there whatever happens.
    for (let there = false; !there;) {
      await attempt(async () => {
        await cluster.apply(manifest);
        there = true;
      });
      if (!there) await cluster.advance(500);
    }
  }
  const names = Object.keys(deeds);
  for (let count = 0; count < rounds; count++) {
    await cluster.advance(random.int(12_000));
    const deed = deeds[names[random.int(names.length)] ?? ''];
    if (deed) await attempt(() => within(cluster, deed(cluster, random, count)));
  }
}

/**
 * Ends what people keep busy: nodes take pods again, no new jobs come each minute, and the quota has room for all that was asked for. What is there then
 * has to come to rest.
 */
export async function calm(cluster: VirtualCluster): Promise<void> {
  for (const { metadata } of (await cluster.client.resource(Node).list()).items)
    await cluster.client.resource(Node).patch(metadata.name, { spec: { unschedulable: false } });
  await cluster.client
    .resource(CronJob)
    .namespace('default')
    .patch('tick', { spec: { suspend: true } });
  await cluster.client
    .resource(ResourceQuota)
    .namespace('default')
    .patch('pods', { spec: { hard: { pods: '400' } } });
}

/** A deed that waits for something of the cluster needs time to pass. */
async function within<T>(cluster: VirtualCluster, work: Promise<T>): Promise<T> {
  let over = false;
  const done = work.finally(() => (over = true));
  done.catch(() => undefined);
  await cluster.until(() => over, { timeout: '10m', what: 'a deed is done' });
  return done;
}

function isConnectionError(error: unknown): boolean {
  return error instanceof Error && error.name === 'ConnectionError';
}
