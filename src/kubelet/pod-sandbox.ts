/** Makes and stops the sandboxes of one pod, and knows with which configuration, as its containers are created with that too. */
import { messageOf } from './handler.ts';
import { sandboxTask } from './pod-plan.ts';
import type { PodScope } from './pod-scope.ts';
import type { SandboxConfig } from './runtime/runtime.ts';
import { createSandbox } from './sandboxes.ts';

export class PodSandbox {
  readonly #scope: PodScope;
  #config: SandboxConfig | undefined;

  constructor(scope: PodScope) {
    this.#scope = scope;
  }

  create(attempt: number): void {
    const { context, pod, directories, tasks } = this.#scope;
    if (attempt > 0) context.tell(pod, 'Normal', 'SandboxChanged', 'Pod sandbox changed, it will be killed and re-created.');
    tasks.run(
      sandboxTask,
      async () => {
        this.#config = await createSandbox(context, pod, attempt, directories);
      },
      (error) => {
        tasks.hold(sandboxTask);
        context.tell(pod, 'Warning', 'FailedCreatePodSandBox', `Failed to create pod sandbox: ${messageOf(error)}`);
      },
    );
  }

  stop(id: string): void {
    const scope = this.#scope;
    const { context, pod, tasks } = scope;
    tasks.run(
      sandboxTask,
      async () => {
        await context.runtime.stopPodSandbox(id);
        await context.observed.refreshSandbox(id);
        const running = scope.observed.containers.filter(({ state }) => state === 'running');
        await Promise.all(running.map((container) => context.observed.refreshContainer(container.id)));
      },
      (error) => {
        tasks.hold(sandboxTask);
        context.tell(pod, 'Warning', 'FailedKillPod', `error killing pod: ${messageOf(error)}`);
      },
    );
  }

  /** After a restart of the kubelet it is worked out anew: it depends on the pod alone. */
  async configOf(sandboxId: string): Promise<SandboxConfig> {
    if (this.#config) return this.#config;
    const { context, pod, observed } = this.#scope;
    const attempt = observed.sandboxes.find(({ id }) => id === sandboxId)?.attempt ?? 0;
    this.#config = await context.sandboxConfigOf(pod, attempt);
    return this.#config;
  }

  /** Nothing is being started: it is worked out again when a container has to be started anew. */
  forgetConfig(): void {
    this.#config = undefined;
  }
}
