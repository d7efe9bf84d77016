/** What is left of pods that nobody knows any more: sandboxes, containers, directories, cgroups. Found at start and every minute. */
import { join } from 'node:path';
import type { KubeletContext } from './context.ts';
import { tearDownVolumes } from './volumes/tear-down.ts';

/** `known` tells of a uid whether the pod has a worker, as of the moment it is asked: pods come while this runs. */
export async function cleanOrphans(
  { runtime, observed, host, csi, rootDir, logRoot, world }: KubeletContext,
  known: { has(uid: string): boolean },
): Promise<void> {
  const log = world.log.child('orphans');
  for (const uid of observed.uids()) {
    if (known.has(uid)) continue;
    const { sandboxes, containers } = observed.pod(uid);
    log.info('removing what is left of a pod', { uid, sandboxes: sandboxes.length, containers: containers.length });
    for (const { id } of containers) {
      await runtime.stopContainer(id, 1);
      await runtime.removeContainer(id);
      await observed.refreshContainer(id);
    }
    for (const { id } of sandboxes) {
      await runtime.stopPodSandbox(id);
      await runtime.removePodSandbox(id);
      await observed.refreshSandbox(id);
    }
  }
  for (const uid of await host.disk.list(join(rootDir, 'pods'))) {
    if (known.has(uid)) continue;
    const root = join(rootDir, 'pods', uid);
    try {
      await tearDownVolumes({ disk: host.disk, csi }, root);
      await host.disk.removeTree(root);
    } catch (error) {
      // The volume of a driver that is not there now: it may be the next time.
      log.warn('the volumes of a pod that is gone could not be given back; trying again', { uid, error: String(error) });
    }
  }
  for (const directory of await host.disk.list(logRoot)) {
    const uid = directory.split('_').at(-1) ?? '';
    if (directory.split('_').length === 3 && !known.has(uid)) await host.disk.removeTree(join(logRoot, directory));
  }
  await host.cgroups.removeOthers(known);
}
