/** The kubelet against the real API server, scheduler and controllers, with simulated containers on a simulated clock: everything in one process. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { afterEach, describe, test } from 'node:test';
import { createApiServer } from '../../src/apiserver/create-api-server.ts';
import { Deployment, Event, Node, Pod } from '../../src/api/kinds.ts';
import type { Client } from '../../src/client/client.ts';
import { createEventRecorder } from '../../src/client/events.ts';
import { createInformers } from '../../src/client/informers.ts';
import { createClient } from '../../src/client/typed-client.ts';
import { startControllers } from '../../src/controllers/manager.ts';
import { simulatedHost } from '../../src/kubelet/host.ts';
import { createKubelet } from '../../src/kubelet/kubelet.ts';
import { type SimulatedRuntime, simulatedRuntime } from '../../src/kubelet/runtime/simulated.ts';
import { startScheduler } from '../../src/scheduler/scheduler.ts';
import { memoryStore } from '../../src/store/memory.ts';
import { type SimulatedWorld, simulatedWorld } from '../../src/world/simulated.ts';

interface Cluster {
  readonly world: SimulatedWorld;
  readonly admin: Client;
  readonly runtime: SimulatedRuntime;
  readonly complaints: string[];
  until(what: string, done: () => Promise<boolean>): Promise<void>;
}

const closers: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function cluster(): Promise<Cluster> {
  const complaints: string[] = [];
  const world = simulatedWorld(7, {
    onLog(level, component, message, fields) {
      if (level === 'warn' || level === 'error') complaints.push(`${component}: ${message} ${JSON.stringify(fields)}`);
    },
  });
  const store = memoryStore();
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const api = await createApiServer({
    world,
    store,
    serviceCidr: '10.96.0.0/16',
    nodePortRange: { from: 30000, to: 32767 },
    serviceAccountKey: privateKey.export({ type: 'pkcs8', format: 'pem' }),
    serviceAccountIssuer: 'https://kubernetes.default.svc',
    staticTokens: new Map(),
    clientCa: '',
  });
  const as = (name: string, ...groups: string[]): Client => createClient(api.connect({ name, uid: '', groups, extra: {} }));
  const manager = as('system:kube-controller-manager');
  const managerInformers = createInformers(manager, world, { freeze: true });
  const controllers = startControllers({
    world,
    informers: managerInformers,
    clientFor: (name) => as(name, 'system:serviceaccounts', 'system:serviceaccounts:kube-system'),
    options: { clusterCidrs: ['10.244.0.0/16'], rootCa: 'the CA' },
  });
  const schedulerClient = as('system:kube-scheduler');
  const schedulerInformers = createInformers(schedulerClient, world, { freeze: true });
  const events = createEventRecorder(schedulerClient, world, { component: 'default-scheduler' });
  const scheduler = startScheduler({ world, client: schedulerClient, informers: schedulerInformers, events });
  const node = as('system:node:node-1', 'system:nodes', 'system:authenticated');
  const informers = createInformers(node, world, { freeze: true });
  const runtime = simulatedRuntime(world);
  const kubelet = createKubelet({
    world,
    client: node,
    informers,
    runtime,
    nodeName: 'node-1',
    nodeIps: ['192.0.2.1'],
    rootDir: '/nowhere',
    logRoot: '/nowhere/logs',
    clusterDns: ['10.96.0.10'],
    clusterDomain: 'cluster.local',
    serverPort: 10250,
    host: simulatedHost(),
  });
  closers.push(async () => {
    kubelet.close();
    informers.close();
    scheduler.close();
    events.close();
    schedulerInformers.close();
    await controllers.close();
    managerInformers.close();
    runtime.close();
    await api.close();
    await store.close();
  });
  const admin = as('admin', 'system:masters');
  return {
    world,
    admin,
    runtime,
    complaints,
    async until(what, done) {
      for (let round = 0; round < 600; round++) {
        for (let turn = 0; turn < 10; turn++) await world.advance(0);
        if (await done()) return;
        await world.advance(50);
      }
      const pods = await admin.resource(Pod).namespace('default').list();
      const said = await admin.resource(Event).namespace('default').list();
      throw new Error(
        `still not: ${what}\n${complaints.join('\n')}\n${JSON.stringify(pods.items.map(({ status }) => status))}\n${said.items.map(({ reason, message }) => `${reason} ${message}`).join('\n')}`,
      );
    },
  };
}

describe('a whole cluster in one process', () => {
  test('runs a Deployment, with tokens and all, and lets go of it', async () => {
    const { world, admin, runtime, complaints, until } = await cluster();
    await until('the node is ready', async () =>
      (await admin.resource(Node).list()).items.some(({ status }) =>
        status.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True'),
      ),
    );
    const startMs = world.clock.now();
    await admin
      .resource(Deployment)
      .namespace('default')
      .create({
        metadata: { name: 'web' },
        spec: {
          replicas: 3,
          selector: { matchLabels: { app: 'web' } },
          template: {
            metadata: { labels: { app: 'web' } },
            spec: { containers: [{ name: 'main', image: 'nginx:1', readinessProbe: { httpGet: { port: 80 } } }] },
          },
        },
      });
    const web = () => admin.resource(Deployment).namespace('default').get('web');
    await until('three replicas are available', async () => (await web()).status.availableReplicas === 3);
    assert.ok(world.clock.now() - startMs <= 100, 'nothing waits for a clock');
    const pods = (await admin.resource(Pod).namespace('default').list()).items;
    for (const { status, spec } of pods) {
      assert.equal(status.phase, 'Running');
      assert.match(status.podIP ?? '', /^10\.244\.0\.\d+$/);
      assert.ok(spec.volumes?.some(({ projected }) => projected?.sources?.some(({ serviceAccountToken }) => serviceAccountToken !== undefined)));
      assert.deepEqual(status.conditions?.map(({ type }) => type).sort(), [
        'ContainersReady',
        'Initialized',
        'PodReadyToStartContainers',
        'PodScheduled',
        'Ready',
      ]);
    }
    const first = pods[0]?.metadata.name ?? '';
    const version = pods[0]?.metadata.resourceVersion;
    await world.advance(60_000);
    assert.equal(
      (await admin.resource(Pod).namespace('default').get(first)).metadata.resourceVersion,
      version,
      'nothing is written while nothing happens',
    );

    await admin.resource(Pod).namespace('default').delete(first);
    await until('another pod has taken its place', async () => {
      const { items } = await admin.resource(Pod).namespace('default').list();
      return items.length === 3 && items.every(({ metadata }) => metadata.name !== first) && (await web()).status.availableReplicas === 3;
    });
    await admin.resource(Deployment).namespace('default').delete('web');
    await until('all pods are gone', async () => (await admin.resource(Pod).namespace('default').list()).items.length === 0);
    await until('nothing is left in the runtime', async () => (await runtime.listPodSandboxes()).length === 0);
    assert.deepEqual(complaints, []);
  });

  test('an ephemeral container joins a running pod', async () => {
    const { admin, until } = await cluster();
    await until('the service account is there', async () => {
      try {
        await admin
          .resource(Pod)
          .namespace('default')
          .create({ metadata: { name: 'web' }, spec: { containers: [{ name: 'main', image: 'nginx:1' }] } });
        return true;
      } catch {
        return false;
      }
    });
    const pod = () => admin.resource(Pod).namespace('default').get('web');
    await until('it runs', async () => (await pod()).status.phase === 'Running');
    await admin
      .resource(Pod)
      .namespace('default')
      .patch(
        'web',
        { spec: { ephemeralContainers: [{ name: 'debug', image: 'busybox:1' }] } },
        { type: 'strategic', subresource: 'ephemeralcontainers' },
      );
    await until('it runs too', async () => (await pod()).status.ephemeralContainerStatuses?.[0]?.state?.running !== undefined);
    assert.equal((await pod()).status.containerStatuses?.[0]?.restartCount, 0);
  });
});
