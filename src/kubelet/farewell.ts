/** What is done when a pod has ended: the node takes back what it lent; when the pod leaves the API too, its remains in the runtime go. */
import { Pod } from '../api/kinds.ts';
import { isReason } from '../machinery/errors.ts';
import type { KubeletContext } from './context.ts';
import { type PodDirectories, podLogDirectory } from './pod-directories.ts';
import { tearDownVolumes } from './volumes/tear-down.ts';

/** Volumes, files and cgroup. The containers stay, for their logs. */
export async function giveBack({ host, csi }: KubeletContext, pod: Pod, { root }: PodDirectories): Promise<void> {
  await tearDownVolumes({ disk: host.disk, csi }, root);
  await Promise.all([host.disk.removeTree(root), host.cgroups.remove(pod)]);
}

/** The last status first, as others wait for it; then the object, if it is still this pod. */
export async function deleteFromApi({ client, statuses, apiPod }: KubeletContext, pod: Pod): Promise<void> {
  const shown = apiPod(pod);
  if (!shown) return;
  const { name, namespace, uid } = shown.metadata;
  await statuses.flush(uid);
  try {
    await client.resource(Pod).namespace(namespace).delete(name, { gracePeriodSeconds: 0, preconditions: { uid } });
  } catch (error) {
    if (!isReason(error, 'NotFound', 'Conflict')) throw error;
  }
}

/** Sandboxes, containers and logs. */
export async function removeRemains({ runtime, observed, host, logRoot }: KubeletContext, pod: Pod): Promise<void> {
  const { uid } = pod.metadata;
  for (const { id } of observed.pod(uid).sandboxes) {
    await runtime.removePodSandbox(id);
    await observed.refreshSandbox(id);
  }
  await Promise.all(observed.pod(uid).containers.map(({ id }) => observed.refreshContainer(id)));
  await host.disk.removeTree(podLogDirectory(logRoot, pod));
}
