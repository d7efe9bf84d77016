/** The actions that probes and lifecycle hooks share: run a command, ask over HTTP, knock on a port. */
import type { Pod } from '../api/kinds.ts';
import type { V1Container, V1GRPCAction, V1HTTPGetAction, V1TCPSocketAction } from '../api/types.ts';
import type { ProbeNetwork } from './runtime/probe-network.ts';
import type { ContainerRuntime, ContainerStatus } from './runtime/runtime.ts';

/** What any handler may be: a probe or one of the hooks. */
export interface Handler {
  readonly exec?: { readonly command?: readonly string[] };
  readonly httpGet?: V1HTTPGetAction;
  readonly tcpSocket?: V1TCPSocketAction;
  readonly grpc?: V1GRPCAction;
}

export interface HandlerTarget {
  readonly runtime: ContainerRuntime;
  readonly network: ProbeNetwork;
  readonly pod: Pod;
  readonly container: V1Container;
  readonly instance: ContainerStatus;
  readonly podIp: string;
}

/** `problem` is undefined on success. */
export interface HandlerResult {
  readonly problem: string | undefined;
}

const good: HandlerResult = { problem: undefined };

/** Throws when the action could not be carried out at all. `timeoutMs` 0 waits for ever (commands only). */
export async function runHandler(handler: Handler, target: HandlerTarget, timeoutMs: number): Promise<HandlerResult> {
  const { runtime, network, container, instance, podIp } = target;
  const containerId = instance.id;
  if (handler.exec) {
    const { exitCode, stdout, stderr } = await runtime.execSync(containerId, handler.exec.command ?? [], Math.ceil(timeoutMs / 1000));
    return exitCode === 0
      ? good
      : {
          problem: Buffer.concat([stdout, stderr])
            .toString('utf8')
            .slice(0, 10 * 1024),
        };
  }
  if (handler.httpGet) {
    const { host, path = '/', scheme, port, httpHeaders = [] } = handler.httpGet;
    const headers = httpHeaders.map(({ name, value }) => [name, value] as const);
    try {
      const { status } = await network.http({
        containerId,
        scheme: scheme === 'HTTPS' ? 'HTTPS' : 'HTTP',
        host: host || podIp,
        port: portNumber(container, port),
        path,
        headers,
        timeoutMs: timeoutMs || 30_000,
      });
      return status >= 200 && status < 400 ? good : { problem: `HTTP probe failed with statuscode: ${status}` };
    } catch (error) {
      return { problem: messageOf(error) };
    }
  }
  if (handler.tcpSocket) {
    const { host, port } = handler.tcpSocket;
    try {
      await network.tcp({ containerId, host: host || podIp, port: portNumber(container, port), timeoutMs: timeoutMs || 30_000 });
      return good;
    } catch (error) {
      return { problem: messageOf(error) };
    }
  }
  if (handler.grpc) {
    const { port, service = '' } = handler.grpc;
    try {
      const serving = await network.grpc({ containerId, host: podIp, port, service, timeoutMs: timeoutMs || 30_000 });
      return serving === 'SERVING' ? good : { problem: `service unhealthy (responded with "${serving}")` };
    } catch (error) {
      return { problem: messageOf(error) };
    }
  }
  throw new Error(`missing probe handler for ${container.name}`);
}

function portNumber(container: V1Container, port: number | string): number {
  if (typeof port === 'number') return port;
  const named = container.ports?.find(({ name }) => name === port)?.containerPort ?? Number(port);
  if (!Number.isInteger(named) || named <= 0 || named > 65_535) throw new Error(`invalid port number: ${port}`);
  return named;
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
