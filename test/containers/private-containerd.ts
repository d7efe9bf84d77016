/** A containerd of a test's own, with a pod network on a bridge of its own, in a directory that is gone afterwards. */
import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { loadBuiltImages } from '../../src/cluster/images/load.ts';
import { pauseImage, pauseImageName } from '../../src/cluster/images/pause.ts';
import { type Containerd, startContainerd, stopContainerd } from '../../src/kubelet/runtime/containerd.ts';
import { unmountBelow } from '../../src/kubelet/runtime/containerd-remains.ts';
import { criRuntime } from '../../src/kubelet/runtime/cri.ts';
import type { ContainerConfig, ContainerRuntime, SandboxConfig } from '../../src/kubelet/runtime/runtime.ts';
import { containerNameLabel, podUidLabel } from '../../src/kubelet/labels.ts';
import { plainContainer, plainSandbox } from '../../src/kubelet/runtime/plain-configs.ts';
import { realWorld } from '../../src/world/real.ts';
import type { World } from '../../src/world/world.ts';
import { lastWill } from '../support/last-will.ts';

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

/** `subnet` is the pods' and the test's own: `10.201.1` for 10.201.1.0/24. Its directory is made in `place`. */
export async function privateContainerd(world: World, subnet: string, place = tmpdir()): Promise<PrivateContainerd> {
  const directory = await mkdtemp(join(place, 'k8ts-cri-'));
  // Users of a pod's own have to come through to its files.
  await chmod(directory, 0o711);
  const will = lastWill('"$@"', process.execPath, import.meta.filename, directory, subnet);
  const { clusterId, bridge } = namesFor(subnet);
  const cniConfDir = join(directory, 'cni');
  await mkdir(cniConfDir);
  await writeFile(join(cniConfDir, '10-test.conflist'), JSON.stringify(network(bridge, subnet, directory)));
  const options = { dataDir: directory, clusterId, world, sandboxImage: pauseImageName, cniConfDir };
  const containerd = await startContainerd(options);
  const runtime = criRuntime({ socket: containerd.socket, world });
  await loadBuiltImages(containerd, [pauseImage(process.arch === 'arm64' ? 'arm64' : 'amd64')]);

  const sandbox = (name: string, more: Partial<SandboxConfig> = {}): SandboxConfig => ({
    ...plainSandbox(name),
    logDirectory: join(directory, 'logs', name),
    cgroupParent: `${containerd.controlGroup}/pods/${name}`,
    ...more,
  });
  return {
    directory,
    containerd,
    runtime,
    start: () => startContainerd(options),
    sandbox,
    container: (image, more = {}) => ({ ...plainContainer(image), ...more }),
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
      await sweep(world, directory, subnet);
      will.withdraw();
    },
  };
}

function namesFor(subnet: string): { readonly clusterId: string; readonly bridge: string } {
  return { clusterId: `test-${subnet.replaceAll('.', '-')}`, bridge: `kt${subnet.replaceAll('.', '')}`.slice(0, 15) };
}

/** Ends what such a containerd runs, and takes its traces away. */
async function sweep(world: World, directory: string, subnet: string): Promise<void> {
  const { clusterId, bridge } = namesFor(subnet);
  await stopContainerd({ dataDir: directory, clusterId, world });
  await unmountBelow(directory);
  await run('ip', ['link', 'delete', bridge]).catch(() => undefined);
  await rm(directory, { recursive: true, force: true });
}

function network(bridge: string, subnet: string, directory: string): object {
  const ipam = { type: 'host-local', dataDir: join(directory, 'ipam'), ranges: [[{ subnet: `${subnet}.0/24` }]] };
  return { cniVersion: '1.0.0', name: 'test', plugins: [{ type: 'bridge', bridge, isGateway: true, ipam }] };
}

// As a program it carries out the last will of a test: `private-containerd.ts DIRECTORY SUBNET`.
if (import.meta.main) {
  const [directory, subnet] = process.argv.slice(2);
  if (directory !== undefined && subnet !== undefined) await sweep(realWorld({ level: 'silent' }), directory, subnet);
}
