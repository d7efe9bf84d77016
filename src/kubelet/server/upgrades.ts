/** What a kubelet's server does with a connection that asks for another protocol: commands in containers, their streams, their ports. */
import type { ContainerRuntime } from '../runtime/runtime.ts';
import { servePortForward } from './port-forward.ts';
import { remoteCommandOptions, serveRemoteCommand } from './remote-command.ts';
import { HttpError } from './responses.ts';
import { containerPath, findContainer, findPod, podPath } from './routes.ts';
import type { ServedPods } from './served-pods.ts';
import { type Upgrade, upgradeKind } from './upgrade.ts';

/** `parts` are the path's, decoded. Throws only before the connection was upgraded. */
export async function serveUpgrade(upgrade: Upgrade, parts: readonly string[], pods: ServedPods, runtime: ContainerRuntime): Promise<void> {
  const { request, query } = upgrade;
  const [first, ...rest] = parts;
  if (upgradeKind(request) === undefined) throw new HttpError(400, `unable to upgrade to ${JSON.stringify(request.headers.upgrade)}`);
  switch (first) {
    case 'exec': {
      const { id: containerId } = findContainer(pods, containerPath(rest));
      const streams = remoteCommandOptions(query);
      const streamingUrl = await runtime.exec({ containerId, command: query.getAll('command'), ...streams });
      return serveRemoteCommand(upgrade, streamingUrl, streams);
    }
    case 'attach': {
      const { id: containerId, tty } = findContainer(pods, containerPath(rest));
      // A terminal is the container's own property, whatever the client asks for.
      const streams = { ...remoteCommandOptions(query), tty };
      return serveRemoteCommand(upgrade, await runtime.attach({ containerId, ...streams }), streams);
    }
    case 'portForward': {
      const path = podPath(rest);
      const { metadata } = findPod(pods, path);
      if (path.uid !== undefined && path.uid !== metadata.uid) throw new HttpError(404, 'pod not found');
      const sandboxId = pods.sandboxId(path.namespace, path.pod);
      if (sandboxId === undefined) throw new HttpError(404, `pod "${path.pod}" is not running`);
      return servePortForward(upgrade, path.pod, (port) => runtime.portForward(sandboxId, port));
    }
    default:
      throw new HttpError(404, '404 page not found');
  }
}
