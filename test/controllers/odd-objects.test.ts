/**
 * Objects that are valid and odd: no controller spins on them (writes without end), fails for ever, or lets others wait. Each is put into a cluster beside ordinary
 * work, which has to be done all the same; then, in an hour in which nothing happens, hardly anything may be written.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Kind } from '../../src/api/kind.ts';
import {
  ClusterRole,
  ConfigMap,
  CronJob,
  DaemonSet,
  Deployment,
  Endpoints,
  EndpointSlice,
  HorizontalPodAutoscaler,
  Job,
  Lease,
  Namespace,
  Node,
  PersistentVolume,
  PersistentVolumeClaim,
  Pod,
  PodDisruptionBudget,
  ReplicaSet,
  ReplicationController,
  ResourceQuota,
  Secret,
  Service,
  ServiceAccount,
  StatefulSet,
} from '../../src/api/kinds.ts';
import type { Draft, KubeObject } from '../../src/machinery/object.ts';
import { type ControlPlane, readyNode, startControlPlane } from './control-plane.ts';

const hour = 3_600_000;
const huge = 2_147_483_647;
const inDefault = (name: string, more: object = {}) => ({ name, namespace: 'default', ...more });
const labelled = (app: string) => ({ metadata: { labels: { app } }, spec: { containers: [{ name: 'c', image: 'c' }] } });
const selecting = (app: string) => ({ matchLabels: { app } });

/** What is put in, in this order; the next is made when those before it are there. */
type Given = (plane: ControlPlane) => Promise<void>;

function given<T extends KubeObject>(kind: Kind<T>, ...drafts: readonly Draft<T>[]): Given {
  return async (plane) => {
    for (const draft of drafts) await plane.create(kind, draft);
  };
}

interface OddCase {
  readonly name: string;
  readonly given: readonly Given[];
  /** What is to be so when all has settled. */
  readonly afterwards?: (plane: ControlPlane) => Promise<void>;
  /** Writes an hour that have a reason. */
  readonly writes?: number;
}

const cases: readonly OddCase[] = [
  {
    name: 'owners that own each other',
    given: [
      async (plane) => {
        const maps = plane.admin.resource(ConfigMap).namespace('default');
        const [a, b] = [await maps.create({ metadata: inDefault('a') }), await maps.create({ metadata: inDefault('b') })];
        const owned = ({ metadata: { name, uid } }: ConfigMap) => ({
          metadata: { ownerReferences: [{ apiVersion: 'v1', kind: 'ConfigMap', name, uid, blockOwnerDeletion: true }] },
        });
        await maps.patch('a', owned(b));
        await maps.patch('b', owned(a));
        await maps.create({ metadata: inDefault('self') });
        await maps.patch('self', owned(await maps.get('self')));
      },
    ],
    async afterwards(plane) {
      assert.equal((await plane.list(ConfigMap)).filter(({ metadata }) => ['a', 'b', 'self'].includes(metadata.name)).length, 3);
      // One that is to wait for its dependents waits for itself at most.
      for (const name of ['self', 'a']) {
        await plane.admin.resource(ConfigMap).namespace('default').delete(name, { propagationPolicy: 'Foreground' });
      }
      await plane.until('the circle is gone', async () =>
        (await plane.list(ConfigMap)).every(({ metadata }) => !['a', 'b', 'self'].includes(metadata.name)),
      );
    },
  },
  {
    name: 'owners of kinds that there are not',
    given: [
      given(ConfigMap, {
        metadata: inDefault('lost', { ownerReferences: [{ apiVersion: 'example.com/v1', kind: 'Nothing', name: 'x', uid: 'x' }] }),
      }),
    ],
    async afterwards(plane) {
      await plane.get(ConfigMap, 'lost');
    },
  },
  {
    name: 'two replica sets and a controller of one selector, and a pod that all could take',
    given: [
      given(Pod, { metadata: inDefault('stray', { labels: { app: 'x' } }), spec: { containers: [{ name: 'c', image: 'c' }] } }),
      given(
        ReplicaSet,
        { metadata: inDefault('one'), spec: { replicas: 2, selector: selecting('x'), template: labelled('x') } },
        { metadata: inDefault('two'), spec: { replicas: 2, selector: selecting('x'), template: labelled('x') } },
      ),
      given(ReplicationController, { metadata: inDefault('three'), spec: { replicas: 1, selector: { app: 'x' }, template: labelled('x') } }),
    ],
    async afterwards(plane) {
      const count = (await plane.list(Pod)).filter(({ metadata }) => metadata.labels?.['app'] === 'x').length;
      assert.equal(count, 5);
    },
  },
  {
    name: 'a deployment whose selector another deployment has, too',
    given: [
      given(
        Deployment,
        { metadata: inDefault('one'), spec: { replicas: 2, selector: selecting('y'), template: labelled('y') } },
        { metadata: inDefault('two'), spec: { replicas: 2, selector: selecting('y'), template: labelled('y') } },
      ),
    ],
  },
  {
    name: 'more replicas than anybody can have, with a quota that holds them back',
    given: [
      given(ResourceQuota, { metadata: inDefault('few'), spec: { hard: { pods: '10' } } }),
      async (plane) => plane.settle(100),
      given(ReplicaSet, { metadata: inDefault('vast'), spec: { replicas: huge, selector: selecting('v'), template: labelled('v') } }),
      given(StatefulSet, {
        metadata: inDefault('vast'),
        spec: { replicas: huge, serviceName: 'x', podManagementPolicy: 'Parallel', selector: selecting('w'), template: labelled('w') },
      }),
    ],
    // Tried again every quarter of an hour or so, as upstream; every try says so in a status or an event.
    writes: 60,
  },
  {
    name: 'a job of a million indexes, none at a time',
    given: [
      given(Job, {
        metadata: inDefault('vast'),
        spec: {
          completionMode: 'Indexed',
          completions: 100_000,
          parallelism: 0,
          template: { spec: { restartPolicy: 'Never', containers: [{ name: 'c', image: 'c' }] } },
        },
      }),
    ],
  },
  {
    name: 'a job with nothing to do',
    given: [
      given(Job, {
        metadata: inDefault('nothing'),
        spec: { completions: 0, template: { spec: { restartPolicy: 'Never', containers: [{ name: 'c', image: 'c' }] } } },
      }),
    ],
    async afterwards(plane) {
      const { status } = await plane.get(Job, 'nothing');
      assert.ok(status.conditions?.some(({ type, status: is }) => type === 'Complete' && is === 'True'));
    },
  },
  {
    name: 'cron jobs of a day that never comes, and of long ago',
    given: [
      given(
        CronJob,
        {
          metadata: inDefault('never'),
          spec: {
            schedule: '0 0 30 2 *',
            jobTemplate: { spec: { template: { spec: { restartPolicy: 'Never', containers: [{ name: 'c', image: 'c' }] } } } },
          },
        },
        {
          metadata: inDefault('late'),
          spec: {
            schedule: '* * * * *',
            suspend: true,
            startingDeadlineSeconds: huge,
            jobTemplate: { spec: { template: { spec: { restartPolicy: 'Never', containers: [{ name: 'c', image: 'c' }] } } } },
          },
        },
      ),
    ],
  },
  {
    name: 'selectors that select everything, and budgets over pods of nobody',
    given: [
      given(PodDisruptionBudget, { metadata: inDefault('all'), spec: { minAvailable: '100%', selector: {} } }),
      given(PodDisruptionBudget, { metadata: inDefault('nobody'), spec: { maxUnavailable: 1, selector: { matchLabels: { app: 'nobody' } } } }),
      given(PodDisruptionBudget, { metadata: inDefault('none'), spec: { maxUnavailable: 0 } }),
    ],
  },
  {
    name: 'services without ports, without selector, of a name of elsewhere, and endpoints of no service',
    given: [
      given(
        Service,
        { metadata: inDefault('bare'), spec: { clusterIP: 'None', selector: { app: 'web' } } },
        { metadata: inDefault('elsewhere'), spec: { type: 'ExternalName', externalName: 'example.com' } },
        { metadata: inDefault('named'), spec: { selector: { app: 'web' }, ports: [{ port: 80, targetPort: 'no-such-port' }] } },
      ),
      given(
        Endpoints,
        { metadata: inDefault('nobody'), subsets: [{ addresses: [{ ip: '10.9.9.9' }] }] },
        { metadata: inDefault('elsewhere'), subsets: [{ addresses: [{ ip: '10.9.9.9' }], ports: [{ port: 1 }] }] },
      ),
      given(EndpointSlice, {
        metadata: inDefault('foreign', {
          labels: { 'kubernetes.io/service-name': 'nobody', 'endpointslice.kubernetes.io/managed-by': 'endpointslice-controller.k8s.io' },
        }),
        addressType: 'FQDN',
        endpoints: [{ addresses: ['example.com'] }],
      }),
    ],
  },
  {
    name: 'autoscalers of themselves, of one another and of nothing',
    given: [
      given(
        HorizontalPodAutoscaler,
        ...['HorizontalPodAutoscaler', 'ConfigMap', 'Nothing'].map((kind) => ({
          metadata: inDefault(kind.toLowerCase()),
          spec: { scaleTargetRef: { apiVersion: 'example.com/v7', kind, name: 'x' }, minReplicas: 1, maxReplicas: huge },
        })),
      ),
    ],
    // Each says anew every 15 s that it finds no target.
    writes: 3 * 240,
  },
  {
    name: 'volumes and claims that point at each other wrongly',
    given: [
      given(PersistentVolume, {
        metadata: { name: 'pv' },
        spec: {
          capacity: { storage: '1Gi' },
          accessModes: ['ReadWriteOnce'],
          hostPath: { path: '/x' },
          claimRef: { namespace: 'default', name: 'other', uid: 'gone' },
        },
      }),
      given(
        PersistentVolumeClaim,
        {
          metadata: inDefault('mine'),
          spec: { volumeName: 'pv', storageClassName: '', accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
        },
        {
          metadata: inDefault('lost'),
          spec: { volumeName: 'no-such', storageClassName: '', accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
        },
      ),
    ],
  },
  {
    name: 'roles that aggregate themselves and each other',
    given: [
      given(
        ClusterRole,
        ...['a', 'b'].map((name) => ({
          metadata: { name, labels: { of: 'both' } },
          rules: [],
          aggregationRule: { clusterRoleSelectors: [{ matchLabels: { of: 'both' } }, {}] },
        })),
      ),
    ],
  },
  {
    name: 'Secrets of tokens for nobody, and accounts that name what is not there',
    given: [
      given(ServiceAccount, { metadata: inDefault('odd'), secrets: [{ name: 'no-such' }, {}] }),
      given(Secret, {
        metadata: inDefault('bootstrap'),
        type: 'bootstrap.kubernetes.io/token',
        data: { 'token-id': Buffer.from('short').toString('base64'), expiration: Buffer.from('never').toString('base64') },
      }),
    ],
  },
  {
    name: 'nodes that say strange things of themselves, and leases of nodes that are not there',
    given: [
      async (plane) => {
        const taints = [{ key: 'a', effect: 'NoExecute', value: 'b' }];
        await plane.create(Node, { metadata: { name: 'odd' }, spec: { taints, podCIDR: '10.244.0.0/16', podCIDRs: ['10.244.0.0/16'] } });
        await plane.admin.resource(Node).patch('odd', { status: { conditions: [{ type: 'Ready', status: 'Perhaps' }] } }, { subresource: 'status' });
      },
      given(Lease, { metadata: { name: 'nobody', namespace: 'kube-node-lease' }, spec: {} }),
      given(DaemonSet, { metadata: inDefault('d'), spec: { selector: selecting('d'), template: labelled('d') } }),
    ],
  },
  {
    name: 'a namespace with a finalizer of somebody who never comes',
    given: [
      given(Namespace, { metadata: { name: 'stuck', finalizers: ['example.com/never'] }, spec: { finalizers: ['kubernetes', 'example.com/never'] } }),
      given(ConfigMap, { metadata: { name: 'held', namespace: 'stuck', finalizers: ['example.com/never'] } }),
      async (plane) => {
        await plane.admin.resource(Namespace).delete('stuck');
      },
    ],
    // It is looked at again every now and then.
    writes: 300,
  },
];

describe('odd objects', () => {
  for (const { name, given: steps, afterwards, writes = 0 } of cases) {
    it(name, async () => {
      const plane = await startControlPlane({ node: 'n1', options: { nodeMonitorGracePeriodMs: 24 * hour } });
      try {
        await plane.create(Node, readyNode('n1', plane.world));
        for (const step of steps) await step(plane);
        await plane.create(Namespace, { metadata: { name: 'usual' }, spec: {} });
        await plane.create(Deployment, {
          metadata: { name: 'web', namespace: 'usual' },
          spec: { replicas: 2, selector: selecting('web'), template: labelled('web') },
        });
        await plane.until('others get their work done', async () => (await plane.get(Deployment, 'web', 'usual')).status.availableReplicas === 2);
        await plane.settle(60_000);
        await afterwards?.(plane);
        // What was told in events is forgotten by then.
        await plane.settle(2 * hour);
        const before = await revision(plane);
        await plane.settle(hour);
        const written = (await revision(plane)) - before;
        assert.ok(written <= writes, `${written} writes in an hour of nothing\n${plane.complaints.slice(-5).join('\n')}`);
      } finally {
        await plane.close();
      }
    });
  }
});

async function revision(plane: ControlPlane): Promise<number> {
  return Number((await plane.admin.resource(Namespace).list({ limit: 1 })).metadata.resourceVersion);
}
