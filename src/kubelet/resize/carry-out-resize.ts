/** Gives the running containers of one pod what its spec now asks for, as far as the node grants it: by new limits, or by a restart. */
import type { Pod } from '../../api/kinds.ts';
import type { KubeletContext } from '../context.ts';
import { messageOf } from '../handler.ts';
import type { PodTasks } from '../pod-tasks.ts';
import { containerResources, podResources } from '../resources.ts';
import type { ContainerStatus } from '../runtime/runtime.ts';
import { refuseBelowUse } from './memory-in-use.ts';
import type { PodResize, ResizeNews, ResizeStep } from './pod-resize.ts';

export interface ResizeSetting {
  readonly context: KubeletContext;
  readonly pod: Pod;
  readonly resize: PodResize;
  readonly tasks: PodTasks;
  /** Instances that run, and are not being stopped. */
  readonly running: readonly ContainerStatus[];
  /** Pods that were given room before. */
  readonly others: () => readonly Pod[];
  readonly restart: (instance: ContainerStatus, message: string) => void;
  readonly onRoom: () => void;
}

export const resizeTask = 'resources of the pod';

export function carryOutResize(setting: ResizeSetting): void {
  const { context, pod, resize, tasks, running, others, restart } = setting;
  if (!resize.isAsked && !resize.isUnderWay) return;
  const node = context.node();
  if (node && resize.isAsked) tell(setting, resize.decide(node, others(), context.placement?.obstacle(resize.effective, pod)));
  if (!resize.isUnderWay) return;
  const steps = resize.steps(running);
  for (const { container, instance, change } of steps) {
    if (change === 'restart') restart(instance, `Container ${container.name} resize requires restart`);
  }
  const updates = steps.filter(({ change }) => change === 'update');
  // What is restarted comes back with its new resources; the rest is done when it is there.
  const isReady = updates.length === steps.length && tasks.heldUntilMs(resizeTask) <= context.world.clock.now() && !tasks.isBusy(resizeTask);
  if (isReady) apply(setting, updates);
}

function apply(setting: ResizeSetting, updates: readonly ResizeStep[]): void {
  const { context, resize, tasks, onRoom } = setting;
  const { host, runtime, memoryBytes } = context;
  const pod = resize.effective;
  tasks.run(
    resizeTask,
    async () => {
      await refuseBelowUse(runtime, pod, updates, memoryBytes);
      // The pod's own cgroup must never be narrower than what is in it.
      await host.cgroups.widen(pod, podResources(pod));
      for (const { container, instance } of updates) {
        await runtime.updateContainerResources(instance.id, containerResources(pod, container, memoryBytes));
        resize.given(instance.id, container);
      }
      await host.cgroups.create(pod);
      tell(setting, resize.completed());
      onRoom();
    },
    (error) => {
      tell(setting, resize.failed(messageOf(error)));
      tasks.hold(resizeTask);
    },
  );
}

function tell({ context, pod }: ResizeSetting, news: ResizeNews | undefined): void {
  if (news) context.tell(pod, news.type, news.reason, news.message);
}
