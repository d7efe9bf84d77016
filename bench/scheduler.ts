/**
 * How fast pods get nodes. First the algorithm alone (decide and count, no API), then through the API: an API server in this process with a memory store, the
 * scheduler as its client in the same process, as `k8ts up` and the cluster inside a test run it. All of it shares one core.
 */
import { generateKeyPairSync } from 'node:crypto';
import type { ApiServer } from '../src/apiserver/api-server.ts';
import { createApiServer } from '../src/apiserver/create-api-server.ts';
import { Node, Pod, ServiceAccount } from '../src/api/kinds.ts';
import type { V1PodSpec } from '../src/api/types.ts';
import type { Client } from '../src/client/client.ts';
import { createEventRecorder } from '../src/client/events.ts';
import { createInformers } from '../src/client/informers.ts';
import { createClient } from '../src/client/typed-client.ts';
import { ClusterState } from '../src/scheduler/cluster-state.ts';
import { podInfo } from '../src/scheduler/pod-info.ts';
import { schedule } from '../src/scheduler/schedule.ts';
import { startScheduler } from '../src/scheduler/scheduler.ts';
import { testNode, testPod } from '../src/scheduler/test-objects.ts';
import { testProfile } from '../src/scheduler/test-profile.ts';
import { memoryStore } from '../src/store/memory.ts';
import { realWorld } from '../src/world/real.ts';
import { simulatedWorld } from '../src/world/simulated.ts';
import { type Figure, median } from './figure.ts';

const requests = { cpu: '100m', memory: '200Mi' };
const allocatable = { cpu: '32', memory: '128Gi', pods: '110' };
const labels = { app: 'bench' };
const labelSelector = { matchLabels: labels };

const spread: Partial<V1PodSpec> = {
  topologySpreadConstraints: [{ maxSkew: 1, topologyKey: 'topology.kubernetes.io/zone', whenUnsatisfiable: 'DoNotSchedule', labelSelector }],
};
const antiAffinity: Partial<V1PodSpec> = {
  affinity: { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [{ topologyKey: 'kubernetes.io/hostname', labelSelector }] } },
};

export async function schedulerSpeed(): Promise<Figure[]> {
  algorithm(500, 2_000);
  const alone = median([1, 2, 3].map(() => algorithm(5_000, 20_000)));
  const through = async (what: string, nodes: number, pods: number, spec: Partial<V1PodSpec>, aim: number, upstream?: number): Promise<Figure> => {
    const value = await throughApi(nodes, pods, spec);
    return { what: `schedule ${pods} ${what}, ${nodes} nodes`, value, unit: '/s', aim, better: 'more', ...(upstream !== undefined && { upstream }) };
  };
  await throughApi(100, 500, {});
  return [
    { what: 'decisions, algorithm alone, 5000 nodes', value: alone, unit: '/s', aim: 20_000, better: 'more' },
    await through('plain pods', 1_000, 3_000, {}, 3_000, 188),
    { what: 'create and schedule 3000 plain pods, 1000 nodes', value: await throughApi(1_000, 3_000, {}, true), unit: '/s', better: 'more' },
    await through('plain pods', 5_000, 5_000, {}, 2_000),
    await through('pods with topology spread', 5_000, 3_000, spread, 500),
    await through('pods with anti-affinity', 5_000, 3_000, antiAffinity, 300),
  ];
}

/**
 * Decisions a second of processor time, which is what a computation of one thread takes however busy the machine is. Each pod is counted on its node before the
 * next is decided.
 */
function algorithm(nodes: number, pods: number): number {
  const state = new ClusterState();
  for (let i = 0; i < nodes; i++) state.setNode(testNode(`node-${i}`, {}, nodeLabels(i), { allocatable }));
  const profile = testProfile(undefined, state);
  const waiting = Array.from({ length: pods }, (_, i) => podInfo(testPod(`pod-${i}`, {}, requests)));
  const { random } = simulatedWorld(1);
  let start = 0;
  const begin = process.cpuUsage();
  for (const info of waiting) {
    const decision = schedule(state, info, profile, { chance: random.next(), start });
    start = (start + decision.looked) % nodes;
    if (decision.type === 'refused') throw new Error(decision.message);
    state.assume(info, decision.nodeName);
  }
  const { user, system } = process.cpuUsage(begin);
  return pods / ((user + system) / 1e6);
}

/**
 * Pods a second, to the last binding the scheduler sees confirmed: from the moment it has seen them waiting, or, with `created`, from the first creation on, while
 * others are being created.
 */
async function throughApi(nodes: number, pods: number, spec: Partial<V1PodSpec>, created = false): Promise<number> {
  const world = realWorld({ level: 'error' });
  const store = memoryStore();
  const server = await bareServer(world, store);
  const admin = createClient(server.connect({ name: 'admin', uid: '', groups: ['system:masters'], extra: {} }));
  await addNodes(admin, nodes);
  if (!created) await addPods(admin, pods, spec);
  const client = createClient(server.connect({ name: 'system:kube-scheduler', uid: '', groups: [], extra: {} }));
  const informers = createInformers(client, world);
  const events = createEventRecorder(client, world, { component: 'default-scheduler' });
  await Promise.all([informers.of(Pod).synced, informers.of(Node).synced]);
  const bound = new Set<string>();
  const begin = performance.now();
  const scheduler = startScheduler({ world, client, informers, events });
  const creation = created ? addPods(admin, pods, spec) : Promise.resolve();
  await new Promise<void>((resolve) => {
    informers.of(Pod).subscribe({
      updated(pod) {
        if (pod.spec.nodeName) bound.add(pod.metadata.uid);
        if (bound.size === pods) resolve();
      },
    });
  });
  const seconds = (performance.now() - begin) / 1000;
  await creation;
  scheduler.close();
  events.close();
  informers.close();
  await server.close();
  await store.close();
  return pods / seconds;
}

function bareServer(world: ReturnType<typeof realWorld>, store: ReturnType<typeof memoryStore>): Promise<ApiServer> {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return createApiServer({
    world,
    store,
    serviceCidr: '10.96.0.0/16',
    nodePortRange: { from: 30_000, to: 32_767 },
    serviceAccountKey: privateKey.export({ type: 'pkcs8', format: 'pem' }),
    serviceAccountIssuer: 'https://kubernetes.default.svc',
    staticTokens: new Map(),
    clientCa: '',
    // Nobody is there to take the taint of new nodes away.
    admissionPlugins: { disabled: ['TaintNodesByCondition'] },
  });
}

async function addNodes(admin: Client, nodes: number): Promise<void> {
  await admin.resource(ServiceAccount).create({ metadata: { name: 'default', namespace: 'default' } });
  await inParallel(nodes, async (i) => {
    const name = `node-${i}`;
    await admin.resource(Node).create({ metadata: { name, labels: nodeLabels(i) }, spec: {}, status: { allocatable, capacity: allocatable } });
  });
}

async function addPods(admin: Client, pods: number, spec: Partial<V1PodSpec>): Promise<void> {
  const containers = [{ name: 'main', image: 'app', resources: { requests } }];
  await inParallel(pods, async (i) => {
    const metadata = { name: `pod-${i}`, namespace: 'default', labels };
    await admin.resource(Pod).create({ metadata, spec: { containers, automountServiceAccountToken: false, ...spec } });
  });
}

function nodeLabels(i: number): Record<string, string> {
  return { 'kubernetes.io/hostname': `node-${i}`, 'topology.kubernetes.io/zone': `zone-${i % 3}` };
}

async function inParallel(count: number, work: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: 64 }, worker));
}
