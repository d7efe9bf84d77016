/** `/runningpods`: what the container runtime runs, as it tells it, whether or not anybody wants it to. Of a pod it knows little more than names. */
import type { Container, ContainerRuntime } from '../runtime/runtime.ts';

interface RunningPod {
  readonly metadata: { readonly name: string; readonly namespace: string; readonly uid: string; readonly creationTimestamp: null };
  readonly spec: { readonly containers: readonly { readonly name: string; readonly image: string; readonly resources: object }[] };
  readonly status: object;
}

export async function runningPods(runtime: Pick<ContainerRuntime, 'listPodSandboxes' | 'listContainers'>): Promise<readonly RunningPod[]> {
  const [sandboxes, containers] = await Promise.all([runtime.listPodSandboxes(), runtime.listContainers()]);
  const running = Map.groupBy(
    containers.filter(({ state }) => state === 'running'),
    ({ sandboxId }) => sandboxId,
  );
  const shown = ({ name, image }: Container): RunningPod['spec']['containers'][number] => ({ name, image, resources: {} });
  return sandboxes
    .filter(({ ready }) => ready)
    .map(({ id, name, namespace, uid }) => ({
      metadata: { name, namespace, uid, creationTimestamp: null },
      spec: { containers: (running.get(id) ?? []).map(shown) },
      status: {},
    }));
}
