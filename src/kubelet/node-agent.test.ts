import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Node } from '../api/kinds.ts';
import type { Informer } from '../client/informer.ts';
import { createClient } from '../client/typed-client.ts';
import { simulatedWorld } from '../world/simulated.ts';
import { fakeApi } from './fake-api.ts';
import { simulatedHost } from './host.ts';
import { createNodeAgent } from './node-agent.ts';
import { simulatedRuntime } from './runtime/simulated.ts';

test('a network that comes back is reported at once, though the watch still shows the node of before', async (t) => {
  const world = simulatedWorld(1);
  const api = fakeApi(world);
  const runtime = simulatedRuntime(world);
  // A watch that is behind shows this state all along.
  const watch: { shown?: Node } = {};
  const nodes: Informer<Node> = {
    kind: Node,
    synced: Promise.resolve(),
    hasSynced: () => true,
    get: () => watch.shown,
    list: () => [],
    addIndex() {},
    byIndex: () => [],
    subscribe: () => () => {},
  };
  const agent = createNodeAgent({
    world,
    client: createClient(api),
    nodes,
    runtime,
    host: simulatedHost(),
    nodeName: 'node-1',
    hostname: 'node-1',
    nodeIps: ['192.0.2.1'],
    maxPods: 110,
    serverPort: 10250,
    reserved: { cpuMillis: 0, memoryBytes: 0, storageBytes: 0 },
    pressure: () => new Set(),
    volumesInUse: () => [],
    declaredFeatures: ['RestartAllContainersOnContainerExits'],
    labels: {},
    taints: [],
    onNetworkChange() {},
  });
  t.after(() => {
    agent.close();
    runtime.close();
  });
  const stored = (): Node => api.get('Node', 'node-1') as Node;
  const ready = (): string | undefined => stored()?.status.conditions?.find(({ type }) => type === 'Ready')?.status;

  await world.advanceUntil(() => ready() === 'True', 5_000);
  watch.shown = structuredClone(stored());
  runtime.setNetworkReady(false);
  agent.refresh();
  await world.advanceUntil(() => ready() === 'False', 1_000);
  runtime.setNetworkReady(true);
  await world.advanceUntil(() => ready() === 'True', 1_000);
  assert.equal(ready(), 'True');
});
