import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Node, Pod } from '../api/kinds.ts';
import type { Client } from '../client/client.ts';
import { createClient } from '../client/typed-client.ts';
import { ApiError } from '../machinery/errors.ts';
import { simulatedWorld, type SimulatedWorld } from '../world/simulated.ts';
import { measure, measureContainer, type NodeReading } from './node-reading.ts';
import type { ReadingSource } from './node-readings.ts';
import { ResourceMetrics } from './resource-metrics.ts';

const metadata = { uid: 'u', resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' };
const node: Node = { apiVersion: 'v1', kind: 'Node', metadata: { ...metadata, name: 'n', labels: { zone: 'a' } }, spec: {}, status: {} };

function pod(name: string, phase = 'Running'): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { ...metadata, name, namespace: 'default', labels: { app: name } },
    spec: { nodeName: 'n', containers: [{ name: 'c' }] },
    status: { phase },
  };
}

function clientWith(pods: readonly Pod[]): Client {
  return createClient({
    shared: true,
    close: () => undefined,
    // oxlint-disable-next-line require-await -- an answer over a wire comes later
    async request({ path }) {
      if (path === '/api/v1/nodes') return { items: [node] };
      if (path === '/api/v1/nodes/n') return node;
      if (path.endsWith('/pods')) return { items: pods };
      const found = pods.find(({ metadata: { name } }) => path.endsWith(`/pods/${name}`));
      if (found === undefined) throw new ApiError('NotFound', 'not found');
      return found;
    },
    watch: () => {
      throw new Error('nobody watches');
    },
  });
}

/** A node of which a quarter of a core is used by each container since it started. */
function quarterCores(world: SimulatedWorld, containers: Readonly<Record<string, number>>): ReadingSource & { reads: number } {
  const source = {
    reads: 0,
    isInstant: false,
    // oxlint-disable-next-line require-await -- a node answers later
    async read(): Promise<NodeReading> {
      source.reads++;
      const timeMs = world.clock.now();
      return {
        node: { timeMs, cpuNanoseconds: timeMs * 500_000, memoryBytes: 2 ** 30 },
        containers: Object.entries(containers)
          .filter(([, startedMs]) => startedMs <= timeMs)
          .map(([name, startedMs]) => ({
            namespace: 'default',
            pod: name,
            container: 'c',
            timeMs,
            startedMs,
            cpuNanoseconds: (timeMs - startedMs) * 250_000,
            memoryBytes: 64 * 2 ** 20,
          })),
      };
    },
  };
  return source;
}

async function during<T>(world: SimulatedWorld, work: Promise<T>): Promise<T> {
  let over = false;
  const done = work.finally(() => (over = true));
  done.catch(() => undefined);
  await world.advanceUntil(() => over);
  return done;
}

describe('metrics', () => {
  it('are there with the first question, a second later', async () => {
    const world = simulatedWorld(1);
    const source = quarterCores(world, { web: world.clock.now() - 5_000 });
    const metrics = new ResourceMetrics({ world, client: clientWith([pod('web'), pod('ended', 'Succeeded')]), source });
    const [first, ...others] = await during(world, metrics.pods());
    assert.deepEqual(first, {
      kind: 'PodMetrics',
      apiVersion: 'metrics.k8s.io/v1beta1',
      metadata: { name: 'web', namespace: 'default', creationTimestamp: '2026-01-01T00:00:01Z', labels: { app: 'web' } },
      timestamp: '2026-01-01T00:00:01Z',
      window: '1s',
      containers: [{ name: 'c', usage: { cpu: '250m', memory: '64Mi' } }],
    });
    assert.deepEqual(others, []);
    const [ofNode] = await during(world, metrics.nodes('n'));
    assert.deepEqual([ofNode?.metadata.labels, ofNode?.usage], [{ zone: 'a' }, { cpu: '500m', memory: '1Gi' }]);
    assert.equal(source.reads, 2, 'what is known is not asked for again');
    metrics.close();
  });

  it('are kept fresh while somebody asks, and then cost nothing', async () => {
    const world = simulatedWorld(1);
    const source = quarterCores(world, {});
    const metrics = new ResourceMetrics({ world, client: clientWith([]), source });
    await during(world, metrics.nodes());
    await world.advance(60_000);
    const [fresh] = await metrics.nodes();
    assert.deepEqual([fresh?.window, source.reads], ['15s', 6]);
    await world.advance(600_000);
    const whenQuiet = source.reads;
    await world.advance(600_000);
    assert.equal(source.reads, whenQuiet);
    await during(world, metrics.nodes());
    assert.equal(source.reads, whenQuiet + 2, 'what was known long ago says nothing of now');
    metrics.close();
  });

  it('of a container that started meanwhile go by its start', async () => {
    const world = simulatedWorld(1);
    const metrics = new ResourceMetrics({
      world,
      client: clientWith([pod('late')]),
      source: quarterCores(world, { late: world.clock.now() + 20_000 }),
    });
    await during(world, metrics.nodes());
    await world.advance(40_000);
    const [late] = await during(world, metrics.pods('default', 'late'));
    assert.equal(late?.containers[0]?.usage['cpu'], '250m');
    assert.deepEqual(await metrics.pods('default', 'nosuch'), []);
    metrics.close();
  });

  it('of a pod that is new are asked for again', async () => {
    const world = simulatedWorld(1);
    const source = quarterCores(world, { late: world.clock.now() + 2_000 });
    const metrics = new ResourceMetrics({ world, client: clientWith([pod('late')]), source });
    await during(world, metrics.nodes());
    await world.advance(4_000);
    const [late] = await metrics.pods();
    assert.deepEqual([late?.containers[0]?.usage['cpu'], late?.window, source.reads], ['250m', '3s', 3]);
    metrics.close();
  });

  it('leave out a node that does not answer', async () => {
    const world = simulatedWorld(1);
    const source = { isInstant: false, read: () => Promise.reject(new Error('connection refused')) };
    const metrics = new ResourceMetrics({ world, client: clientWith([pod('web')]), source });
    assert.deepEqual([await metrics.nodes(), await metrics.pods()], [[], []]);
    metrics.close();
  });
});

it('a counter that began anew tells nothing', () => {
  const sample = (timeMs: number, cpuNanoseconds: number, startedMs = 0) => ({
    timeMs,
    cpuNanoseconds,
    memoryBytes: 1,
    namespace: '',
    pod: '',
    container: '',
    startedMs,
  });
  assert.equal(measure(sample(2000, 5), sample(0, 9)), undefined);
  assert.equal(measure(sample(400, 9), sample(0, 5)), undefined, 'too short a time');
  assert.equal(measure(sample(1000, 9), undefined), undefined);
  assert.equal(measureContainer(sample(2000, 1e9, 1000), sample(500, 9e9, 100), 500)?.nanoCores, 1e9, 'restarted: since its start');
  assert.equal(measureContainer(sample(2000, 1e9, 400), undefined, 500), undefined, 'nobody knows what it used before');
});
