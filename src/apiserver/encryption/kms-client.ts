/** A key management plugin behind a unix socket, spoken to over gRPC (KMS v2). */
import { Client, credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import type { World } from '../../world/world.ts';
import {
  decodeDecryptResponse,
  decodeEncryptResponse,
  decodeStatus,
  encodeDecryptRequest,
  encodeEncryptRequest,
  encodeNothing,
  type KmsStatus,
  type WrappedSeed,
} from './kms-messages.ts';

export interface KmsClient {
  status(): Promise<KmsStatus>;
  encrypt(plaintext: Uint8Array): Promise<WrappedSeed>;
  decrypt(wrapped: WrappedSeed): Promise<Buffer>;
  close(): void;
}

/** `endpoint` as upstream writes it: `unix:///path/to/socket`, or `unix:///@name` for an abstract one. */
export function kmsClient(world: World, endpoint: string, timeoutMs: number): KmsClient {
  const path = endpoint.replace(/^unix:\/\//, '');
  const client = new Client(path.startsWith('/@') ? `unix-abstract:${path.slice(2)}` : `unix:${path}`, credentials.createInsecure(), {
    'grpc.initial_reconnect_backoff_ms': 100,
    'grpc.min_reconnect_backoff_ms': 100,
    'grpc.max_reconnect_backoff_ms': 5_000,
    'grpc.use_local_subchannel_pool': 1,
  });
  const call = <Out>(method: string, request: Buffer, decode: (bytes: Buffer) => Out): Promise<Out> =>
    new Promise((resolve, reject) => {
      client.makeUnaryRequest(
        `/v2.KeyManagementService/${method}`,
        (bytes: Buffer) => bytes,
        decode,
        request,
        new Metadata(),
        { deadline: world.clock.now() + timeoutMs },
        (error: ServiceError | null, answer) => {
          if (error !== null) reject(new Error(`${endpoint}: ${method}: ${error.details}`));
          else if (answer === undefined) reject(new Error(`${endpoint}: ${method} answered nothing`));
          else resolve(answer);
        },
      );
    });
  return {
    status: () => call('Status', encodeNothing(), decodeStatus),
    encrypt: (plaintext) => call('Encrypt', encodeEncryptRequest({ plaintext, uid: world.random.uid() }), decodeEncryptResponse),
    decrypt: (wrapped) => call('Decrypt', encodeDecryptRequest({ ...wrapped, uid: world.random.uid() }), decodeDecryptResponse),
    close: () => client.close(),
  };
}
