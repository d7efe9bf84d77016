/** What one pod needs on the node before its sandbox: its cgroup and its volumes. */
import { messageOf } from './handler.ts';
import type { PodScope } from './pod-scope.ts';
import { ConfigError } from './start-error.ts';
import { PodVolumes } from './volumes/pod-volumes.ts';

const prepareTask = 'volumes of the pod';

export class PodPreparation {
  readonly volumes: PodVolumes;
  readonly #scope: PodScope;
  #done = false;

  constructor(scope: PodScope) {
    this.#scope = scope;
    this.volumes = new PodVolumes(scope);
  }

  get isDone(): boolean {
    return this.#done;
  }

  /** Begins, unless it is done, under way, or failed a moment ago. */
  attempt(nowMs: number): void {
    const scope = this.#scope;
    const { context, granted, tasks } = scope;
    if (this.#done || tasks.isBusy(prepareTask) || tasks.heldUntilMs(prepareTask) > nowMs) return;
    tasks.run(
      prepareTask,
      async () => {
        await Promise.all([context.host.cgroups.create(granted), this.volumes.prepare()]);
        this.#done = true;
      },
      (error) => {
        tasks.hold(prepareTask);
        context.tell(scope.pod, 'Warning', error instanceof ConfigError ? 'FailedMount' : 'FailedCreatePodContainer', messageOf(error));
      },
    );
  }

  /** When it may be attempted again after it failed; undefined when nothing has to be waited for. */
  retryAtMs(nowMs: number): number | undefined {
    const heldMs = this.#scope.tasks.heldUntilMs(prepareTask);
    return !this.#done && heldMs > nowMs ? heldMs : undefined;
  }

  /** What it waits for may have come. */
  retry(): void {
    if (this.#done) return;
    this.#scope.tasks.release(prepareTask);
    this.#scope.wake();
  }
}
