/** The termination messages of one pod's ended instances: each is read once, and holds when its file is gone. */
import type { V1PodStatus } from '../api/types.ts';
import type { KubeletContext } from './context.ts';
import { messageOf } from './handler.ts';
import type { ContainerStatus } from './runtime/runtime.ts';
import { SparseMap } from './sparse-map.ts';
import { readTerminationMessage } from './termination-message.ts';

export class LastWords {
  readonly #context: Pick<KubeletContext, 'host' | 'world'>;
  readonly #onHeard: () => void;
  readonly #words = new SparseMap<string, string>();
  /** How many instances' last words are being read. */
  #unheard = 0;

  constructor(context: Pick<KubeletContext, 'host' | 'world'>, onHeard: () => void) {
    this.#context = context;
    this.#onHeard = onHeard;
  }

  /** Reads those of instances that ended newly, and forgets those that are gone. `status` is what the API holds. */
  hear(instances: readonly ContainerStatus[], status: V1PodStatus): void {
    for (const id of this.#words.keys()) if (!instances.some((instance) => instance.id === id)) this.#words.delete(id);
    for (const instance of instances) {
      if (instance.state !== 'exited' || this.#words.has(instance.id)) continue;
      // The file is gone once the pod was cleaned up; what was said of it before holds.
      this.#words.set(instance.id, instance.message || saidBefore(status, instance.id));
      this.#unheard++;
      readTerminationMessage(this.#context.host.disk, instance)
        .then((message) => {
          if (message !== '') this.#words.set(instance.id, message);
        })
        .catch((error: unknown) =>
          this.#context.world.log.debug('reading a termination message failed', { id: instance.id, error: messageOf(error) }),
        )
        .finally(() => {
          this.#unheard--;
          this.#onHeard();
        });
    }
  }

  /** Nothing is being read: an end may be told of. */
  areHeard(): boolean {
    return this.#unheard === 0;
  }

  of({ id, message }: ContainerStatus): string {
    return this.#words.get(id) ?? message;
  }
}

/** The message of an ended instance in a status that was written before. */
function saidBefore({ containerStatuses = [], initContainerStatuses = [] }: V1PodStatus, id: string): string {
  for (const { state, lastState } of [...containerStatuses, ...initContainerStatuses]) {
    for (const ended of [state?.terminated, lastState?.terminated]) if (ended?.containerID?.endsWith(`//${id}`)) return ended.message ?? '';
  }
  return '';
}
