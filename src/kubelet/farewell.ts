/** What is done when a pod has ended: the node takes back what it lent; when the pod leaves the API too, its remains in the runtime go. */
import { Pod } from '../api/node-kinds.ts';
import { isReason } from '../machinery/errors.ts';
import type { KubeletContext } from './context.ts';
import { messageOf } from './handler.ts';
import { podLogDirectory } from './pod-directories.ts';
import type { PodScope } from './pod-scope.ts';
import { formatPod } from './pod-spec.ts';
import type { PodVolumes } from './volumes/pod-volumes.ts';
import { tearDownVolumes } from './volumes/tear-down.ts';

/** `kept`: the API still shows the pod, and nobody has asked for its deletion. */
export type FarewellOutcome = 'left' | 'kept' | 'failed';

export class Farewell {
  readonly #scope: PodScope;
  readonly #volumes: PodVolumes;
  readonly #onRoom: () => void;
  #underWay = false;
  #givenBack = false;

  /** `onRoom` is told when the node has back what the pod had of it. */
  constructor(scope: PodScope, volumes: PodVolumes, onRoom: () => void) {
    this.#scope = scope;
    this.#volumes = volumes;
    this.#onRoom = onRoom;
  }

  get isUnderWay(): boolean {
    return this.#underWay;
  }

  get hasBegun(): boolean {
    return this.#underWay || this.#givenBack;
  }

  /** The node takes back what it lent, and, if the API waits for that, the pod goes from there too. */
  async attempt(isInApi: () => boolean): Promise<FarewellOutcome> {
    const scope = this.#scope;
    const { context } = scope;
    this.#underWay = true;
    try {
      await this.#volumes.close();
      if (!this.#givenBack) await giveBack(scope);
      this.#givenBack = true;
      context.placement?.release(scope.pod.metadata.uid);
      this.#onRoom();
      if (isInApi() && scope.pod.metadata.deletionTimestamp === undefined) return 'kept';
      if (isInApi()) await deleteFromApi(context, scope.pod);
    } catch (error) {
      // What stays of a pod that nobody knows any more is found and removed as an orphan.
      if (isInApi()) {
        context.world.log.warn('saying farewell to a pod failed; trying again', { pod: formatPod(scope.pod), error: messageOf(error) });
        return 'failed';
      }
    } finally {
      this.#underWay = false;
    }
    return 'left';
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

/** Volumes, files and cgroup. The containers stay, for their logs. */
async function giveBack({ context: { host, csi }, pod, directories: { root } }: PodScope): Promise<void> {
  await tearDownVolumes({ disk: host.disk, csi }, root);
  await Promise.all([host.disk.removeTree(root), host.cgroups.remove(pod)]);
}

/** The last status first, as others wait for it; then the object, if it is still this pod. */
async function deleteFromApi({ client, statuses, apiPod }: KubeletContext, pod: Pod): Promise<void> {
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
