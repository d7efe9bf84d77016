/** gRPC over a plugin's unix socket: unary calls of messages declared in `csi-messages.ts`. */
import { Client, credentials, type ServiceError, status } from '@grpc/grpc-js';
import type { World } from '../../../world/world.ts';
import type { Message } from '../../runtime/cri-protobuf.ts';

export class PluginError extends Error {
  override readonly name = 'PluginError';
  readonly code: status;

  constructor(code: status, details: string) {
    super(`rpc error: code = ${codeName(code)} desc = ${details}`);
    this.code = code;
  }
}

/** As Go prints a code: `NotFound`. */
function codeName(code: status): string {
  const words = (status[code] ?? 'UNKNOWN').toLowerCase().split('_');
  return words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join('');
}

export interface GrpcSocket {
  call<In, Out>(path: string, request: Message<In, unknown>, reply: Message<unknown, Out>, value: In, timeoutMs: number): Promise<Out>;
  close(): void;
}

export function grpcSocket(socket: string, world: World): GrpcSocket {
  const client = new Client(`unix:${socket}`, credentials.createInsecure(), {
    // Local: trying costs nothing, and a restarted plugin should be found at once.
    'grpc.initial_reconnect_backoff_ms': 50,
    'grpc.min_reconnect_backoff_ms': 50,
    'grpc.max_reconnect_backoff_ms': 1_000,
    'grpc.use_local_subchannel_pool': 1,
  });
  return {
    call(path, request, reply, value, timeoutMs) {
      return new Promise((resolve, reject) => {
        client.makeUnaryRequest(
          path,
          (input: typeof value) => request.encode(input),
          (bytes: Buffer) => reply.decode(bytes),
          value,
          { deadline: world.clock.now() + timeoutMs },
          (error: ServiceError | null, answer) => {
            if (error !== null) reject(new PluginError(error.code, error.details));
            else if (answer === undefined) reject(new PluginError(status.INTERNAL, `${path} answered nothing`));
            else resolve(answer);
          },
        );
      });
    },
    close: () => client.close(),
  };
}
