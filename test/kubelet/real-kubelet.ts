/** A kubelet over a containerd of its own, with the kubelet's own small API: for tests of what only a real kernel and a real runtime can show. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Pod } from '../../src/api/kinds.ts';
import type { V1Container, V1ContainerStatus, V1PodSpec } from '../../src/api/types.ts';
import { createInformers } from '../../src/client/informers.ts';
import { createClient } from '../../src/client/typed-client.ts';
import { loadImages } from '../../src/cluster/images/load.ts';
import { type FakeApi, fakeApi } from '../../src/kubelet/fake-api.ts';
import { type Kubelet, createKubelet } from '../../src/kubelet/kubelet.ts';
import type { KubeletOptions } from '../../src/kubelet/kubelet-options.ts';
import type { World } from '../../src/world/world.ts';
import { type PrivateContainerd, privateContainerd } from '../containers/private-containerd.ts';
import { buildBusyboxImage } from '../images/debian-image.ts';

export interface RealKubelet {
  readonly host: PrivateContainerd;
  readonly api: FakeApi;
  kubelet: Kubelet;
  /** The kubelet alone; containers run on. */
  stop(): void;
  start(): void;
  /** A pod with one container of BusyBox that waits, unless it is told otherwise. */
  put(name: string, container?: Partial<V1Container>, spec?: Partial<V1PodSpec>): Pod;
  pod(name: string): Pod | undefined;
  main(name: string): V1ContainerStatus | undefined;
  isReady(name: string): boolean;
  /** What a shell in the pod's main container prints. */
  output(name: string, command: string): Promise<string>;
  /** `reason: message` of all events. */
  events(): readonly string[];
  until(done: () => boolean | Promise<boolean>, limitMs?: number): Promise<void>;
  close(): Promise<void>;
}

/** `subnet` is the test's own: `10.201.1`. `options` may depend on where the containerd's files are; they are asked for at each start. All lies in `place`. */
export async function realKubelet(
  world: World,
  subnet: string,
  options: (host: PrivateContainerd) => Partial<KubeletOptions> = () => ({}),
  place?: string,
): Promise<RealKubelet> {
  const host = await privateContainerd(world, subnet, place);
  await loadImages({ socket: host.containerd.socket, path: await buildBusyboxImage() });
  const api = fakeApi(world);
  let stop = (): void => {};

  function start(): Kubelet {
    const client = createClient(api);
    const informers = createInformers(client, world);
    const kubelet = createKubelet({
      world,
      client,
      informers,
      runtime: host.runtime,
      nodeName: 'node-1',
      nodeIps: ['192.0.2.1'],
      rootDir: join(host.directory, 'kubelet'),
      logRoot: join(host.directory, 'pod-logs'),
      cgroupPrefix: host.containerd.controlGroup,
      clusterDns: ['10.96.0.10'],
      clusterDomain: 'cluster.local',
      serverPort: 10250,
      ...options(host),
    });
    stop = () => {
      kubelet.close();
      informers.close();
    };
    return kubelet;
  }

  const pod = (name: string): Pod | undefined => api.get('Pod', name, 'default') as Pod | undefined;
  const events = (): readonly string[] =>
    api.all('Event').map((event) => `${'reason' in event ? String(event.reason) : ''}: ${'message' in event ? String(event.message) : ''}`);
  const made: RealKubelet = {
    host,
    api,
    kubelet: start(),
    stop: () => stop(),
    start: () => void (made.kubelet = start()),
    put(name, container = {}, spec = {}) {
      const main: V1Container = {
        name: 'main',
        image: 'busybox',
        command: ['sh', '-c', 'trap "exit 0" TERM; while :; do sleep 0.1; done'],
        ...container,
      };
      const metadata = { name, namespace: 'default', labels: { app: name } };
      return api.put({
        kind: 'Pod',
        metadata,
        spec: { nodeName: 'node-1', restartPolicy: 'Always', containers: [main], ...spec },
        status: { phase: 'Pending' },
      }) as Pod;
    },
    pod,
    main: (name) => pod(name)?.status.containerStatuses?.find((status) => status.name === 'main'),
    isReady: (name) => pod(name)?.status.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') === true,
    async output(name, command) {
      const id = made.kubelet.pods.container('default', name, 'main')?.id ?? '';
      const { stdout, stderr } = await host.runtime.execSync(id, ['sh', '-c', command], 10);
      return Buffer.concat([stdout, stderr]).toString('utf8').trim();
    },
    events,
    async until(done, limitMs = 30_000) {
      const endMs = world.clock.now() + limitMs;
      while (!(await done())) {
        assert.ok(
          world.clock.now() < endMs,
          `still not so: ${JSON.stringify(api.all('Pod').map(({ metadata }) => [metadata.name, pod(metadata.name)?.status]))} ${events().join('\n')}`,
        );
        await pause(20);
      }
    },
    async close() {
      for (const { metadata } of api.all('Pod')) api.remove('Pod', metadata.name, metadata.namespace, 1);
      try {
        await made.until(() => api.all('Pod').length === 0);
      } finally {
        stop();
        await host.close();
      }
    },
  };
  return made;
}
