import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { simulatedWorld } from '../../world/simulated.ts';
import { simulatedHost } from '../host.ts';
import { plainContainer, plainSandbox } from '../runtime/plain-configs.ts';
import { simulatedRuntime } from '../runtime/simulated.ts';
import { KubeletCounters } from './kubelet-counters.ts';
import { busyNanoseconds, interfacesOf, memoryInfo } from './machine.ts';
import { NodeStats } from './node-stats.ts';
import { Rates } from './rates.ts';

const world = simulatedWorld(1);

/** A simulated node with one pod of one container. */
async function node(): Promise<{ stats: NodeStats; counters: KubeletCounters }> {
  const runtime = simulatedRuntime(world);
  const annotations = { 'simulated.k8ts.local/cpu': '250m', 'simulated.k8ts.local/memory': '64Mi' };
  const sandbox = { ...plainSandbox('web'), uid: 'u1', annotations };
  const sandboxId = await runtime.runPodSandbox(sandbox);
  const labels = { 'io.kubernetes.pod.uid': 'u1', 'io.kubernetes.container.name': 'c' };
  const id = await runtime.createContainer(sandboxId, { ...plainContainer('x'), name: 'c', labels }, sandbox);
  await runtime.startContainer(id);
  const counters = new KubeletCounters();
  return {
    stats: new NodeStats({ world, runtime, nodeName: 'n', pods: () => [], subject: { host: simulatedHost(), counters, places: undefined } }),
    counters,
  };
}

describe('a node tells', () => {
  it('a summary of what pods and containers use', async () => {
    const { stats } = await node();
    await world.advance(4_000);
    const summary = (await stats.summary(false)) as {
      node: { nodeName: string; cpu: { usageNanoCores: number } };
      pods: { podRef: object; containers: { name: string; cpu: object; memory: { workingSetBytes: number } }[]; cpu: object }[];
    };
    const [pod] = summary.pods;
    assert.deepEqual(pod?.podRef, { name: 'web', namespace: 'default', uid: 'u1' });
    const cpu = { time: '2026-01-01T00:00:04Z', usageNanoCores: 250_000_000, usageCoreNanoSeconds: 1_000_000_000 };
    assert.deepEqual(
      pod.containers.map(({ name, cpu: used, memory }) => [name, used, memory.workingSetBytes]),
      [['c', cpu, 64 * 2 ** 20]],
    );
    assert.deepEqual(pod.cpu, cpu);
    assert.deepEqual([summary.node.nodeName, summary.node.cpu.usageNanoCores], ['n', 250_000_000]);
  });

  it('the same as metrics, in the form that metrics-server reads', async () => {
    const { stats } = await node();
    const startMs = world.clock.now();
    await world.advance(2_000);
    const text = await stats.resourceMetrics();
    for (const line of [
      `container_cpu_usage_seconds_total{container="c",namespace="default",pod="web"} 0.5 ${startMs + 2_000}`,
      `container_memory_working_set_bytes{container="c",namespace="default",pod="web"} 67108864 ${startMs + 2_000}`,
      `container_start_time_seconds{container="c",namespace="default",pod="web"} ${startMs / 1000}`,
      `pod_cpu_usage_seconds_total{namespace="default",pod="web"} 0.5 ${startMs + 2_000}`,
      `node_memory_working_set_bytes 67108864 ${startMs + 2_000}`,
      'resource_scrape_error 0',
    ]) {
      assert.ok(text.split('\n').includes(line), `${line}\n${text}`);
    }
    assert.match(
      await stats.cadvisorMetrics(),
      /^container_memory_working_set_bytes\{container="c",id="",image="x",name="[^"]+",namespace="default",pod="web"\} 67108864 /m,
    );
    assert.match(await stats.cadvisorMetrics(), /^machine_cpu_cores\{.*\} 4$/m);
  });

  it('what it did itself', async () => {
    const { stats, counters } = await node();
    counters.operation('RunPodSandbox', 0.3, false);
    counters.operation('PullImage', 2, true);
    counters.podSeen('u', { phase: 'Pending', createdMs: 0, nowMs: 1_000 });
    counters.podSeen('u', { phase: 'Pending', createdMs: 0, nowMs: 1_500 });
    counters.podSeen('u', { phase: 'Running', createdMs: 0, nowMs: 2_500 });
    counters.podSeen('u', { phase: 'Running', createdMs: 0, nowMs: 9_000 });
    const text = await stats.kubeletMetrics();
    for (const line of [
      'kubelet_running_pods 1',
      'kubelet_running_containers{container_state="running"} 1',
      'kubelet_runtime_operations_total{operation_type="run_podsandbox"} 1',
      'kubelet_runtime_operations_errors_total{operation_type="pull_image"} 1',
      'kubelet_pod_start_duration_seconds_sum 1.5',
      'kubelet_pod_start_duration_seconds_count 1',
      'kubelet_pod_start_total_duration_seconds_sum 2.5',
    ]) {
      assert.ok(text.split('\n').includes(line), `${line}\n${text}`);
    }
    const probed = { namespace: 'default', pod: 'web', podUid: 'u', container: 'c' };
    counters.probe(probed, 'readiness', 'successful');
    counters.probe(probed, 'readiness', 'successful');
    assert.match(
      stats.probeMetrics(),
      /^prober_probe_total\{container="c",namespace="default",pod="web",pod_uid="u",probe_type="Readiness",result="successful"\} 2$/m,
    );
    counters.podGone('u');
    assert.doesNotMatch(stats.probeMetrics(), /pod_uid/);
  });
});

it('rates need two readings, and begin anew with the counter', () => {
  const rates = new Rates();
  assert.equal(rates.next('a', 0, 1_000), undefined);
  assert.equal(rates.next('a', 10, 2_000), undefined, 'too soon to say');
  assert.equal(rates.next('a', 2_000, 2_000_001_000), 1_000_000_000);
  assert.equal(rates.next('a', 2_500, 9_000_000_000), 1_000_000_000, 'as before, for the moment');
  assert.equal(rates.next('a', 4_000, 5), undefined);
  rates.keepOnly(new Set());
  assert.equal(rates.next('a', 6_000, 6), undefined);
});

it('the machine is read from /proc', () => {
  assert.equal(busyNanoseconds('cpu  100 20 30 4000 500 6 7 8 0 0\ncpu0 1 2 3'), 163 * 10_000_000);
  const meminfo = 'MemTotal:       1000 kB\nMemFree:         400 kB\nInactive(anon):  1 kB\nInactive(file):  100 kB\nAnonPages:  300 kB\n';
  assert.deepEqual(memoryInfo(meminfo), { total: 1_024_000, usage: 614_400, workingSet: 512_000, rss: 307_200 });
  const [eth0, ...others] = interfacesOf(
    'Inter-|   Receive  | Transmit\n face |bytes packets\n    lo: 1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n  eth0:10 2 3 4 0 0 0 0 50 6 7 8 0 0 0 0\n vethab: 1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n',
  );
  assert.deepEqual(eth0, {
    name: 'eth0',
    rxBytes: 10,
    rxPackets: 2,
    rxErrors: 3,
    rxDropped: 4,
    txBytes: 50,
    txPackets: 6,
    txErrors: 7,
    txDropped: 8,
  });
  assert.deepEqual(others, [], 'loopback, and the near ends of pods, are no interfaces of the node');
});
