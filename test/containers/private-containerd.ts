/** A containerd of a test's own, with a pod network on a bridge of its own, in a directory that is gone afterwards. */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { loadBuiltImages } from '../../src/cluster/images/load.ts';
import { pauseImage, pauseImageName } from '../../src/cluster/images/pause.ts';
import { type Containerd, startContainerd, stopContainerd } from '../../src/kubelet/runtime/containerd.ts';
import { criRuntime } from '../../src/kubelet/runtime/cri.ts';
import type { ContainerConfig, ContainerRuntime, SandboxConfig } from '../../src/kubelet/runtime/runtime.ts';
import { containerNameLabel, podUidLabel } from '../../src/kubelet/labels.ts';
import type { World } from '../../src/world/world.ts';

const run = promisify(execFile);

export interface PrivateContainerd {
  readonly directory: string;
  readonly containerd: Containerd;
  readonly runtime: ContainerRuntime;
  /** Starts it again, as a restarted k8ts does. */
  start(): Promise<Containerd>;
  sandbox(name: string, more?: Partial<SandboxConfig>): SandboxConfig;
  container(image: string, more?: Partial<ContainerConfig>): ContainerConfig;
  /** Runs a pod of one container; answers both ids. */
  run(name: string, container: ContainerConfig): Promise<{ sandboxId: string; containerId: string; logPath: string }>;
  close(): Promise<void>;
}

/** `subnet` is the pods' and the test's own: `10.201.1` for 10.201.1.0/24. */
export async function privateContainerd(world: World, subnet: string): Promise<PrivateContainerd> {
  const directory = await mkdtemp(join(tmpdir(), 'k8ts-cri-'));
  const clusterId = `test-${subnet.replaceAll('.', '-')}`;
  const bridge = `kt${subnet.replaceAll('.', '')}`.slice(0, 15);
  const cniConfDir = join(directory, 'cni');
  await mkdir(cniConfDir);
  await writeFile(join(cniConfDir, '10-test.conflist'), JSON.stringify(network(bridge, subnet, directory)));
  const options = { dataDir: directory, clusterId, world, sandboxImage: pauseImageName, cniConfDir };
  const containerd = await startContainerd(options);
  const runtime = criRuntime({ socket: containerd.socket, world });
  await loadBuiltImages(containerd, [pauseImage(process.arch === 'arm64' ? 'arm64' : 'amd64')]);

  const sandbox = (name: string, more: Partial<SandboxConfig> = {}): SandboxConfig => ({
    name,
    namespace: 'default',
    uid: `uid-${name}`,
    attempt: 0,
    hostname: name,
    logDirectory: join(directory, 'logs', name),
    dns: { servers: [], searches: [], options: [] },
    portMappings: [],
    labels: {},
    annotations: {},
    sysctls: {},
    cgroupParent: `${containerd.controlGroup}/pods/${name}`,
    network: 'pod',
    pid: 'container',
    ipc: 'pod',
    privileged: false,
    supplementalGroups: [],
    runtimeHandler: '',
    ...more,
  });
  return {
    directory,
    containerd,
    runtime,
    start: () => startContainerd(options),
    sandbox,
    container: (image, more = {}) => ({ ...plainContainer, image, ...more }),
    async run(name, container) {
      const config = sandbox(name);
      await mkdir(config.logDirectory, { recursive: true });
      const sandboxId = await runtime.runPodSandbox(config);
      // What a kubelet knows its own containers by.
      const labels = { ...container.labels, [podUidLabel]: config.uid, [containerNameLabel]: container.name };
      const containerId = await runtime.createContainer(sandboxId, { ...container, labels }, config);
      await runtime.startContainer(containerId);
      return { sandboxId, containerId, logPath: join(config.logDirectory, container.logPath) };
    },
    async close() {
      runtime.close();
      await stopContainerd(options);
      await run('ip', ['link', 'delete', bridge]).catch(() => undefined);
      await rm(directory, { recursive: true, force: true });
    },
  };
}

const plainContainer: ContainerConfig = {
  name: 'main',
  attempt: 0,
  image: '',
  command: [],
  args: [],
  workingDir: '',
  env: [],
  mounts: [],
  devices: [],
  labels: {},
  annotations: {},
  logPath: 'main.log',
  stdin: false,
  stdinOnce: false,
  tty: false,
  resources: {},
  security: {
    privileged: false,
    addCapabilities: [],
    dropCapabilities: [],
    supplementalGroups: [],
    readonlyRootfs: false,
    noNewPrivileges: false,
    network: 'pod',
    pid: 'container',
    ipc: 'pod',
  },
};

function network(bridge: string, subnet: string, directory: string): object {
  const ipam = { type: 'host-local', dataDir: join(directory, 'ipam'), ranges: [[{ subnet: `${subnet}.0/24` }]] };
  return { cniVersion: '1.0.0', name: 'test', plugins: [{ type: 'bridge', bridge, isGateway: true, ipam }] };
}
