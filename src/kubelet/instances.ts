/** Starts and stops one instance of a container: image, configuration, creation, start, hooks; with the events people look for. */
import type { Pod } from '../api/kinds.ts';
import type { V1Container } from '../api/types.ts';
import { containerConfig, type ContainerSetting } from './container-config.ts';
import type { KubeletContext } from './context.ts';
import { environmentOf } from './environment.ts';
import { messageOf } from './handler.ts';
import type { TellOfContainer } from './images.ts';
import { runHook } from './lifecycle-hooks.ts';
import type { PodDirectories } from './pod-directories.ts';
import { type ContainerRole, containerOf } from './pod-spec.ts';
import type { PodVolumes } from './volumes/pod-volumes.ts';
import { type ContainerConfig, type ContainerStatus, handlerOf, type SandboxConfig } from './runtime/runtime.ts';
import { ConfigError, StartError } from './start-error.ts';
import { ensureImageVolumes } from './volumes/image-volumes.ts';

export interface StartRequest {
  readonly context: KubeletContext;
  readonly pod: Pod;
  readonly container: V1Container;
  readonly role: ContainerRole;
  readonly sandboxId: string;
  readonly sandbox: SandboxConfig;
  readonly attempt: number;
  readonly volumes: PodVolumes;
  readonly directories: PodDirectories;
  readonly podIps: readonly string[];
  /** Aborted when the pod is to end: what is not started yet need not be. */
  readonly signal: AbortSignal;
}

type EnsuredImages = Pick<ContainerSetting, 'image' | 'imageVolumes'>;

/** The running instance; undefined when it was given up because the pod is to end. Throws `StartError`. */
export async function startInstance(request: StartRequest): Promise<ContainerStatus | undefined> {
  const { context, pod, container, sandboxId, sandbox, signal } = request;
  const { runtime, observed, host } = context;
  const tell: TellOfContainer = (type, reason, message) => context.tell(pod, type, reason, message, container.name);

  const ensured = await unlessAborted(
    ensureImages(request, tell).catch((error: unknown) => {
      if (error instanceof StartError) tell('Warning', 'Failed', `Error: ${error.reason}`);
      throw error;
    }),
    signal,
  );
  if (!ensured) return undefined;
  let config: ContainerConfig;
  try {
    const env = await environmentOf(container, {
      pod,
      addresses: { podIps: request.podIps, hostIps: context.nodeIps },
      allocatable: context.node()?.status.allocatable ?? {},
      services: context.services,
      masterService: context.masterService(),
      configMap: (name) => request.volumes.configMap(name),
      secret: (name) => request.volumes.secret(name),
    });
    config = await containerConfig({
      pod,
      container,
      attempt: request.attempt,
      ...ensured,
      env,
      volumes: request.volumes,
      directories: request.directories,
      disk: host.disk,
      handler: handlerOf(context.runtimeStatus(), sandbox.runtimeHandler),
      users: sandbox.users,
      nodeMemoryBytes: context.memoryBytes,
      seccompRoot: context.seccompRoot,
      seccompDefault: context.seccompDefault,
      ...(context.placement && { place: context.placement.placeOf(pod.metadata.uid, container.name) }),
      ...targetOf(request),
    });
  } catch (error) {
    // Whether the pod's own fault or because the API could not be asked: the container waits, and is tried again.
    const message = messageOf(error);
    tell('Warning', 'Failed', `Error: ${message}`);
    throw new StartError('CreateContainerConfigError', message);
  }
  if (signal.aborted) return undefined;
  let id: string;
  try {
    id = await runtime.createContainer(sandboxId, config, sandbox);
  } catch (error) {
    tell('Warning', 'Failed', `Error: ${messageOf(error)}`);
    throw new StartError('CreateContainerError', messageOf(error));
  }
  tell('Normal', 'Created', 'Container created');
  if (signal.aborted) {
    await observed.refreshContainer(id);
    return undefined;
  }
  try {
    await runtime.startContainer(id);
  } catch (error) {
    await observed.refreshContainer(id);
    tell('Warning', 'Failed', `Error: ${messageOf(error)}`);
    throw new StartError('RunContainerError', messageOf(error));
  }
  tell('Normal', 'Started', 'Container started');
  const instance = await observed.refreshContainer(id);
  const hook = container.lifecycle?.postStart;
  if (!hook || !instance) return instance;
  const problem = await runHook(
    hook,
    { runtime, network: context.network, pod, container, instance, podIp: request.podIps[0] ?? '' },
    context.world.clock,
    signal,
  );
  if (problem === undefined || signal.aborted) return instance;
  tell('Warning', 'FailedPostStartHook', 'PostStartHook failed');
  tell('Normal', 'Killing', 'FailedPostStartHook');
  await runtime.stopContainer(id, pod.spec.terminationGracePeriodSeconds ?? 30);
  await observed.refreshContainer(id);
  throw new StartError('PostStartHookError', `PostStartHook failed: ${problem}`);
}

/** The container's own, and those that are volumes of it. */
async function ensureImages({ context, pod, container, sandbox }: StartRequest, tell: TellOfContainer): Promise<EnsuredImages> {
  const { runtime, images } = context;
  const request = { pod, container, sandbox, tell };
  return { image: await images.ensure(request), imageVolumes: await ensureImageVolumes({ runtime, images, ...request }) };
}

/** The running container that an ephemeral one was asked to look into. */
function targetOf({ context, pod, container, role }: StartRequest): { targetId?: string } {
  const target = role === 'ephemeral' ? pod.spec.ephemeralContainers?.find(({ name }) => name === container.name)?.targetContainerName : undefined;
  if (target === undefined || target === '') return {};
  const found = context.observed.pod(pod.metadata.uid).containers.find(({ name, state }) => name === target && state === 'running');
  if (!found) throw new ConfigError(`unable to find target container "${target}"`);
  return { targetId: found.id };
}

/** Undefined as soon as the signal aborts; the work itself goes on unheeded. */
function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  if (signal.aborted) {
    work.catch(() => {});
    return Promise.resolve(undefined);
  }
  return new Promise((resolve, reject) => {
    const give = (): void => resolve(undefined);
    signal.addEventListener('abort', give, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', give));
  });
}

export interface StopRequest {
  readonly context: KubeletContext;
  readonly pod: Pod;
  readonly instance: ContainerStatus;
  readonly podIp: string;
  readonly deadlineMs: number;
  /** Run preStop first. */
  readonly withHook: boolean;
}

/** After the hook a container has at least so long to obey the signal, however little of its grace period is left. */
const minimumGraceMs = 2000;

export async function stopInstance({ context, pod, instance, podIp, deadlineMs, withHook }: StopRequest): Promise<void> {
  const { runtime, observed, network, world } = context;
  const container = containerOf(pod, instance.name)?.spec;
  const hook = container?.lifecycle?.preStop;
  const leftMs = (): number => deadlineMs - world.clock.now();
  let graceMs = Math.max(0, leftMs());
  if (container && hook && withHook && graceMs > 0) {
    const abort = new AbortController();
    const bound = world.clock.after(graceMs, () => abort.abort(new Error('the grace period is over')));
    const running = runHook(hook, { runtime, network, pod, container, instance, podIp }, world.clock, abort.signal);
    const problem = await Promise.race([
      running,
      new Promise<string>((resolve) => abort.signal.addEventListener('abort', () => resolve('the grace period is over'), { once: true })),
    ]);
    bound.cancel();
    if (problem !== undefined) context.tell(pod, 'Warning', 'FailedPreStopHook', 'PreStopHook failed', container.name);
    graceMs = Math.max(minimumGraceMs, leftMs());
  }
  await runtime.stopContainer(instance.id, Math.ceil(graceMs / 1000));
  await observed.refreshContainer(instance.id);
}
