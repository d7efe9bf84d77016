/**
 * The container runtime over CRI v1 (https://github.com/kubernetes/cri-api), as containerd and CRI-O serve it on a unix socket. Failures are
 * `RuntimeError`s; `isNotFound` tells the one that callers treat as an answer.
 */
import { status } from '@grpc/grpc-js';
import type { World } from '../../world/world.ts';
import { type CriChannel, criChannel } from './cri-channel.ts';
import {
  authMessage,
  containerConfigMessage,
  containerOf,
  containerStatusOf,
  imageOf,
  milliseconds,
  resourcesMessage,
  runtimeStatusOf,
  sandboxConfigMessage,
  sandboxOf,
  sandboxStatusOf,
} from './cri-convert.ts';
import { isNotFound, RuntimeError } from './cri-error.ts';
import { watchContainerdEvents } from './cri-events.ts';
import * as messages from './cri-messages.ts';
import { forwardPort } from './cri-port-forward.ts';
import { pullProgress } from './pull-progress.ts';
import type { Decoded, Message } from './cri-protobuf.ts';
import type { ContainerRuntime } from './runtime.ts';

export interface CriRuntimeOptions {
  /** Path of the runtime's unix socket. */
  readonly socket: string;
  readonly world: World;
  /** Told of each call, by CRI's name of the method, when it is over. */
  readonly onCall?: (method: string, seconds: number, failed: boolean) => void;
}

/** As `--runtime-request-timeout`: what may take longer adds to it. */
const requestTimeoutMs = 120_000;

export function criRuntime({ socket, world, onCall }: CriRuntimeOptions): ContainerRuntime {
  const channel = observed(criChannel(socket, world, 'k8s.io'), world, onCall);
  /** CRI's ContainerStatus does not say the sandbox; it never changes, so it is remembered. */
  const sandboxOfContainer = new Map<string, string>();

  function runtime<In, Out>(
    method: string,
    request: Message<In, unknown>,
    reply: Message<unknown, Out>,
    value: In,
    timeoutMs = requestTimeoutMs,
  ): Promise<Out> {
    return channel.call(`/runtime.v1.RuntimeService/${method}`, request, reply, value, { timeoutMs });
  }

  function images<In, Out>(
    method: string,
    request: Message<In, unknown>,
    reply: Message<unknown, Out>,
    value: In,
    timeoutMs: number | undefined = requestTimeoutMs,
  ): Promise<Out> {
    return channel.call(`/runtime.v1.ImageService/${method}`, request, reply, value, timeoutMs === Infinity ? {} : { timeoutMs });
  }

  async function sandboxIdOf(containerId: string): Promise<string> {
    const known = sandboxOfContainer.get(containerId);
    if (known !== undefined) return known;
    const { containers } = await runtime('ListContainers', messages.ListContainersRequest, messages.ListContainersResponse, {
      filter: { id: containerId },
    });
    const sandboxId = containers[0]?.podSandboxId ?? '';
    if (sandboxId !== '') sandboxOfContainer.set(containerId, sandboxId);
    return sandboxId;
  }

  /** True once CRI itself no longer calls it running, or knows nothing of it any more. */
  async function hasExited(id: string): Promise<boolean> {
    const answer = async (): Promise<boolean> => {
      try {
        const { status: found } = await runtime('ContainerStatus', messages.ContainerStatusRequest, messages.ContainerStatusResponse, {
          containerId: id,
        });
        return found?.state !== 'CONTAINER_RUNNING';
      } catch (error) {
        if (!isNotFound(error)) throw error;
        const { status: found } = await runtime('PodSandboxStatus', messages.PodSandboxStatusRequest, messages.PodSandboxStatusResponse, {
          podSandboxId: id,
        });
        return found?.state !== 'SANDBOX_READY';
      }
    };
    return answer().catch(orWhenNotFound(true));
  }

  return {
    async version() {
      const { runtimeName, runtimeVersion, runtimeApiVersion } = await runtime('Version', messages.VersionRequest, messages.VersionResponse, {});
      return { runtimeName, runtimeVersion, runtimeApiVersion };
    },
    async status() {
      return runtimeStatusOf(await runtime('Status', messages.Empty, messages.StatusResponse, {}));
    },
    async updateRuntimeConfig(podCidr) {
      await runtime('UpdateRuntimeConfig', messages.UpdateRuntimeConfigRequest, messages.Empty, { runtimeConfig: { networkConfig: { podCidr } } });
    },

    async runPodSandbox(config) {
      const request = { config: sandboxConfigMessage(config), runtimeHandler: config.runtimeHandler };
      // Upstream gives it twice the time: the network plugin may be slow.
      return (await runtime('RunPodSandbox', messages.RunPodSandboxRequest, messages.PodSandboxId, request, requestTimeoutMs * 2)).podSandboxId;
    },
    async stopPodSandbox(podSandboxId) {
      await runtime('StopPodSandbox', messages.PodSandboxId, messages.Empty, { podSandboxId }).catch(orWhenNotFound({}));
    },
    async removePodSandbox(podSandboxId) {
      await runtime('RemovePodSandbox', messages.PodSandboxId, messages.Empty, { podSandboxId }).catch(orWhenNotFound({}));
      for (const [container, sandbox] of sandboxOfContainer) if (sandbox === podSandboxId) sandboxOfContainer.delete(container);
    },
    async podSandboxStatus(podSandboxId) {
      const { status: found } = await runtime('PodSandboxStatus', messages.PodSandboxStatusRequest, messages.PodSandboxStatusResponse, {
        podSandboxId,
      });
      return sandboxStatusOf(present(found, `sandbox ${podSandboxId}`));
    },
    async listPodSandboxes() {
      return (await runtime('ListPodSandbox', messages.Empty, messages.ListPodSandboxResponse, {})).items.map(sandboxOf);
    },

    async createContainer(podSandboxId, config, sandbox) {
      const { containerId } = await runtime('CreateContainer', messages.CreateContainerRequest, messages.ContainerId, {
        podSandboxId,
        config: containerConfigMessage(config),
        sandboxConfig: sandboxConfigMessage(sandbox),
      });
      sandboxOfContainer.set(containerId, podSandboxId);
      return containerId;
    },
    async startContainer(containerId) {
      await runtime('StartContainer', messages.ContainerId, messages.Empty, { containerId });
    },
    async stopContainer(containerId, timeoutSeconds) {
      const request = { containerId, timeout: timeoutSeconds };
      await runtime('StopContainer', messages.StopContainerRequest, messages.Empty, request, requestTimeoutMs + timeoutSeconds * 1000).catch(
        orWhenNotFound({}),
      );
    },
    async removeContainer(containerId) {
      await runtime('RemoveContainer', messages.ContainerId, messages.Empty, { containerId }).catch(orWhenNotFound({}));
      sandboxOfContainer.delete(containerId);
    },
    async listContainers() {
      const { containers } = await runtime('ListContainers', messages.ListContainersRequest, messages.ListContainersResponse, {});
      return containers.map(containerOf);
    },
    async containerStatus(containerId) {
      const [{ status: found }, sandboxId] = await Promise.all([
        runtime('ContainerStatus', messages.ContainerStatusRequest, messages.ContainerStatusResponse, { containerId }),
        sandboxIdOf(containerId),
      ]);
      return containerStatusOf(present(found, `container ${containerId}`), sandboxId);
    },
    async updateContainerResources(containerId, resources) {
      await runtime('UpdateContainerResources', messages.UpdateContainerResourcesRequest, messages.Empty, {
        containerId,
        linux: resourcesMessage(resources),
      });
    },
    async reopenContainerLog(containerId) {
      await runtime('ReopenContainerLog', messages.ContainerId, messages.Empty, { containerId });
    },
    async checkpointContainer(containerId, location, timeout) {
      await channel.call(
        '/runtime.v1.RuntimeService/CheckpointContainer',
        messages.CheckpointContainerRequest,
        messages.Empty,
        { containerId, location, timeout },
        timeout > 0 ? { timeoutMs: timeout * 1000 } : {},
      );
    },
    async execSync(containerId, command, timeoutSeconds) {
      const request = { containerId, cmd: command, timeout: timeoutSeconds };
      // The runtime ends the command itself; the margin lets its own answer arrive first. Timeout 0 is none.
      const timeoutMs = timeoutSeconds > 0 ? timeoutSeconds * 1000 + requestTimeoutMs : undefined;
      return channel.call(
        '/runtime.v1.RuntimeService/ExecSync',
        messages.ExecSyncRequest,
        messages.ExecSyncResponse,
        request,
        timeoutMs === undefined ? {} : { timeoutMs },
      );
    },
    async exec(request) {
      return (await runtime('Exec', messages.ExecRequest, messages.StreamingUrl, { ...request, cmd: request.command })).url;
    },
    async attach(request) {
      return (await runtime('Attach', messages.AttachRequest, messages.StreamingUrl, request)).url;
    },
    async portForward(podSandboxId, port) {
      const { url } = await runtime('PortForward', messages.PortForwardRequest, messages.StreamingUrl, { podSandboxId, port: [port] });
      return forwardPort(url, port);
    },

    async containerStats() {
      const { stats } = await runtime('ListContainerStats', messages.Empty, messages.ListContainerStatsResponse, {});
      return stats.map((entry) => ({
        containerId: entry.attributes?.id ?? '',
        labels: entry.attributes?.labels ?? {},
        timestampMs: milliseconds(entry.cpu?.timestamp ?? entry.memory?.timestamp ?? 0),
        cpuNanoseconds: entry.cpu?.usageCoreNanoSeconds?.value ?? 0,
        memoryWorkingSetBytes: entry.memory?.workingSetBytes?.value ?? 0,
        cpuNanoCores: entry.cpu?.usageNanoCores?.value,
        writableLayerBytes: entry.writableLayer?.usedBytes?.value ?? 0,
        writableLayerInodes: entry.writableLayer?.inodesUsed?.value ?? 0,
      }));
    },

    async pullImage(image, auth, sandbox) {
      const request = { image: { image }, auth: authMessage(auth), sandboxConfig: sandbox && sandboxConfigMessage(sandbox) };
      // No deadline: large images take as long as they take; containerd gives up on a registry that sends nothing.
      return (await images('PullImage', messages.PullImageRequest, messages.PullImageResponse, request, Infinity)).imageRef;
    },
    pullProgress: (image) => pullProgress(channel, world.clock, image),
    async imageStatus(image) {
      const answer = await images('ImageStatus', messages.ImageRequest, messages.ImageStatusResponse, { image: { image } });
      return answer.image && imageOf(answer.image);
    },
    async listImages() {
      return (await images('ListImages', messages.Empty, messages.ListImagesResponse, {})).images.map(imageOf);
    },
    async removeImage(image) {
      await images('RemoveImage', messages.ImageRequest, messages.Empty, { image: { image } }).catch(orWhenNotFound({}));
    },
    async imageFsUsage() {
      const usage = (await images('ImageFsInfo', messages.Empty, messages.ImageFsInfoResponse, {})).imageFilesystems[0];
      return { mountpoint: usage?.fsId?.mountpoint ?? '', usedBytes: usage?.usedBytes?.value ?? 0, inodesUsed: usage?.inodesUsed?.value ?? 0 };
    },

    events: (onEvent, signal) => watchContainerdEvents({ channel, world, hasExited, onEvent, signal }),
    close: () => channel.close(),
  };
}

function observed(channel: CriChannel, { clock }: World, onCall: CriRuntimeOptions['onCall']): CriChannel {
  if (onCall === undefined) return channel;
  return {
    ...channel,
    async call(path, ...rest) {
      const startMs = clock.now();
      let failed = true;
      try {
        const answer = await channel.call(path, ...rest);
        failed = false;
        return answer;
      } finally {
        onCall(path.slice(path.lastIndexOf('/') + 1), (clock.now() - startMs) / 1000, failed);
      }
    },
  };
}

/** For `catch`: not-found becomes `answer`; everything else stays an error. */
function orWhenNotFound<T>(answer: T): (error: unknown) => T {
  return (error) => {
    if (isNotFound(error)) return answer;
    throw error;
  };
}

function present<M extends Decoded<typeof messages.ContainerStatus> | Decoded<typeof messages.PodSandboxStatus>>(
  answer: M | undefined,
  what: string,
): M {
  if (answer === undefined) throw new RuntimeError(status.NOT_FOUND, `no status of ${what}`);
  return answer;
}
