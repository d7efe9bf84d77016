/** What a node that is no longer run leaves on its machine, and how it is taken away. Its images and volumes stay. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { type StopManner, stopContainerd } from '../../kubelet/runtime/containerd.ts';
import { unmountBelow } from '../../kubelet/runtime/containerd-remains.ts';
import type { World } from '../../world/world.ts';
import { layoutOf } from '../layout.ts';

export async function sweepNode(dataDir: string, runtimeId: string, world: World, how: StopManner): Promise<void> {
  const layout = layoutOf(dataDir);
  await stopContainerd({ dataDir, clusterId: runtimeId, world }, how);
  await unmountBelow(layout.kubelet);
  // Pods get new addresses at the next start, as after a reboot.
  rmSync(join(layout.run, 'ipam'), { recursive: true, force: true });
  rmSync(layout.cniConfig, { recursive: true, force: true });
}
