/** What the kubelet's tests stand on: a kubelet on a virtual clock, over a pretended runtime, with the small API of `fake-api.ts`. */
import type { Pod } from '../api/kinds.ts';
import type { V1ContainerStatus, V1PodSpec } from '../api/types.ts';
import { createInformers } from '../client/informers.ts';
import { createClient } from '../client/typed-client.ts';
import { type SimulatedWorld, simulatedWorld } from '../world/simulated.ts';
import { type FakeApi, fakeApi } from './fake-api.ts';
import { simulatedHost } from './host.ts';
import { type Kubelet, createKubelet } from './kubelet.ts';
import type { KubeletOptions } from './kubelet-options.ts';
import type { SimulatedScripts } from './runtime/simulated-script.ts';
import { type SimulatedRuntime, simulatedRuntime } from './runtime/simulated.ts';

export interface Rig {
  readonly world: SimulatedWorld;
  readonly api: FakeApi;
  readonly runtime: SimulatedRuntime;
  kubelet: Kubelet;
  stop(): void;
  start(): void;
}

const closers: (() => void)[] = [];

/** Ends every rig that was made. */
export function closeRigs(): void {
  for (const close of closers.splice(0)) close();
}

export function rig(scripts?: SimulatedScripts, options: Partial<KubeletOptions> = {}): Rig {
  const lines: string[] = [];
  const world = simulatedWorld(1, {
    onLog: (level, component, message, fields) => lines.push(`${level} ${component} ${message} ${JSON.stringify(fields)}`),
  });
  const api = fakeApi(world);
  const runtime = simulatedRuntime(world, scripts);
  let stop = (): void => {};
  const start = (): Kubelet => {
    const client = createClient(api);
    const informers = createInformers(client, world);
    const kubelet = createKubelet({
      world,
      client,
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
      ...options,
    });
    stop = () => {
      kubelet.close();
      informers.close();
    };
    return kubelet;
  };
  const made: Rig = {
    world,
    api,
    runtime,
    kubelet: start(),
    stop: () => stop(),
    start: () => void (made.kubelet = start()),
  };
  closers.push(() => stop());
  closers.push(() => runtime.close());
  if (process.env.KUBELET_LOG) closers.push(() => console.log(lines.join('\n')));
  return made;
}

export function podOf({ api }: Rig, name = 'web'): Pod | undefined {
  return api.get('Pod', name, 'default') as Pod | undefined;
}

export function putPod({ api }: Rig, spec: Partial<V1PodSpec> = {}, metadata: Partial<Pod['metadata']> = {}): Pod {
  const containers = [{ name: 'main', image: 'nginx:1' }];
  return api.put({
    kind: 'Pod',
    metadata: { name: 'web', namespace: 'default', ...metadata },
    spec: { nodeName: 'node-1', restartPolicy: 'Always', containers, ...spec },
    status: { phase: 'Pending' },
  }) as Pod;
}

export function condition(pod: Pod | undefined, type: string): string | undefined {
  return pod?.status.conditions?.find((candidate) => candidate.type === type)?.status;
}

/** The status of the pod's container of this name. */
export function main(pod: Pod | undefined, name = 'main'): V1ContainerStatus | undefined {
  return [...(pod?.status.containerStatuses ?? []), ...(pod?.status.initContainerStatuses ?? [])].find((status) => status.name === name);
}

/** As `reason: message`. */
export function events({ api }: Rig): string[] {
  return api.all('Event').map((event) => `${'reason' in event ? String(event.reason) : ''}: ${'message' in event ? String(event.message) : ''}`);
}
