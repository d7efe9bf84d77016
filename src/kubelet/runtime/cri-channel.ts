/** One gRPC connection to the container runtime's unix socket: unary calls and server streams of messages declared in `cri-messages.ts`. */
import { Client, credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import type { World } from '../../world/world.ts';
import { RuntimeError } from './cri-error.ts';
import type { Message } from './cri-protobuf.ts';

export interface CallOptions {
  /** Unbounded when absent. */
  readonly timeoutMs?: number;
}

export interface CriChannel {
  call<In, Out>(path: string, request: Message<In, unknown>, reply: Message<unknown, Out>, value: In, options?: CallOptions): Promise<Out>;
  /** Calls `onMessage` for each message; resolves when the server ends the stream or the signal aborts, rejects when it breaks. */
  stream<In, Out>(
    path: string,
    request: Message<In, unknown>,
    reply: Message<unknown, Out>,
    value: In,
    onMessage: (message: Out) => void,
    signal: AbortSignal,
  ): Promise<void>;
  close(): void;
}

/** As containerd caps them too. */
const maxMessageBytes = 16 * 1024 * 1024;

export function criChannel(socket: string, world: World, namespace: string): CriChannel {
  const client = new Client(`unix:${socket}`, credentials.createInsecure(), {
    'grpc.max_receive_message_length': maxMessageBytes,
    'grpc.max_send_message_length': maxMessageBytes,
    // A restarted containerd should be found again at once: the socket is local, trying costs nothing.
    'grpc.initial_reconnect_backoff_ms': 50,
    'grpc.min_reconnect_backoff_ms': 50,
    'grpc.max_reconnect_backoff_ms': 1_000,
    'grpc.use_local_subchannel_pool': 1,
  });
  const metadata = (): Metadata => {
    const headers = new Metadata();
    headers.set('containerd-namespace', namespace);
    return headers;
  };
  return {
    call(path, request, reply, value, options) {
      return new Promise((resolve, reject) => {
        const deadline = options?.timeoutMs === undefined ? undefined : { deadline: world.clock.now() + options.timeoutMs };
        client.makeUnaryRequest(
          path,
          (input: typeof value) => request.encode(input),
          (bytes: Buffer) => reply.decode(bytes),
          value,
          metadata(),
          deadline ?? {},
          (error: ServiceError | null, answer) => {
            if (error !== null) reject(new RuntimeError(error.code, error.details));
            else if (answer === undefined) reject(new RuntimeError(status.INTERNAL, `${path} answered nothing`));
            else resolve(answer);
          },
        );
      });
    },
    stream(path, request, reply, value, onMessage, signal) {
      return new Promise((resolve, reject) => {
        const call = client.makeServerStreamRequest(
          path,
          (input: typeof value) => request.encode(input),
          (bytes: Buffer) => reply.decode(bytes),
          value,
          metadata(),
        );
        const cancel = (): void => call.cancel();
        const finish = (error?: ServiceError): void => {
          signal.removeEventListener('abort', cancel);
          if (error === undefined || signal.aborted) resolve();
          else reject(new RuntimeError(error.code, error.details));
        };
        call.on('data', onMessage);
        call.on('error', finish);
        call.on('end', () => finish());
        if (signal.aborted) cancel();
        else signal.addEventListener('abort', cancel, { once: true });
      });
    },
    close: () => client.close(),
  };
}
