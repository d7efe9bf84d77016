/**
 * A storage driver for tests, as one that people bring: it registers with the kubelet by a socket in `plugins_registry` and serves CSI's node part over gRPC.
 * Its volumes are directories, staged and published as bind mounts; every call is written down.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, rmdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type MethodDefinition, Server, ServerCredentials, status, type UntypedServiceImplementation } from '@grpc/grpc-js';
import type { Decoded, Message } from '../../src/kubelet/runtime/cri-protobuf.ts';
import {
  Empty,
  type NodeAbility,
  NodeExpandVolumeRequest,
  NodeExpandVolumeResponse,
  NodeGetCapabilitiesResponse,
  NodeGetInfoResponse,
  NodeGetVolumeStatsRequest,
  NodeGetVolumeStatsResponse,
  NodePublishVolumeRequest,
  NodeStageVolumeRequest,
  NodeUnpublishVolumeRequest,
  NodeUnstageVolumeRequest,
  PluginInfo,
  RegistrationStatus,
} from '../../src/kubelet/volumes/csi/csi-messages.ts';

export interface TestDriver {
  /** `NodeStageVolume <handle>`, in the order of the calls. */
  readonly calls: readonly string[];
  readonly published: readonly Decoded<typeof NodePublishVolumeRequest>[];
  readonly staged: readonly Decoded<typeof NodeStageVolumeRequest>[];
  readonly expanded: readonly Decoded<typeof NodeExpandVolumeRequest>[];
  /** What the kubelet answered to its registration. */
  readonly registrations: readonly Decoded<typeof RegistrationStatus>[];
  /** Publishing fails with this, while it is there. */
  failure: string | undefined;
  /** What the volume holds. */
  read(handle: string, file: string): string;
  /** Sockets gone, as when its pod is deleted. */
  stop(): Promise<void>;
}

export interface TestDriverOptions {
  readonly name: string;
  /** The kubelet's root directory. */
  readonly kubeletDir: string;
  /** Where its volumes are. */
  readonly storage: string;
  readonly nodeId: string;
  readonly abilities: readonly NodeAbility[];
  readonly topology?: Readonly<Record<string, string>>;
  readonly maxVolumes?: number;
  /** The device behind a block volume, by the volume's handle. */
  readonly deviceOf?: (handle: string) => string;
}

interface Method {
  readonly path: string;
  readonly definition: MethodDefinition<unknown, unknown>;
  readonly handle: UntypedServiceImplementation[string];
}

function method<In, Out>(path: string, request: Message<unknown, In>, reply: Message<Out, unknown>, answer: (request: In) => Out): Method {
  return {
    path,
    definition: {
      path,
      requestStream: false,
      responseStream: false,
      requestSerialize: () => Buffer.alloc(0),
      requestDeserialize: (bytes) => request.decode(bytes),
      // Answered by `answer`, and by nothing else.
      responseSerialize: (value) => reply.encode(value as Out),
      responseDeserialize: () => undefined,
    },
    handle(call: { request: In }, done: (error: object | null, value?: Out) => void) {
      try {
        done(null, answer(call.request));
      } catch (error) {
        done({ code: status.INTERNAL, details: error instanceof Error ? error.message : String(error) });
      }
    },
  };
}

async function serve(socket: string, methods: readonly Method[]): Promise<Server> {
  rmSync(socket, { force: true });
  const server = new Server();
  server.addService(
    Object.fromEntries(methods.map(({ path, definition }) => [path, definition])),
    Object.fromEntries(methods.map(({ path, handle }) => [path, handle])),
  );
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(`unix:${socket}`, ServerCredentials.createInsecure(), (error) => (error ? reject(error) : resolve()));
  });
  return server;
}

const isMounted = (path: string): boolean => readFileSync('/proc/self/mountinfo', 'utf8').includes(` ${path} `);

function bind(from: string, to: string, readonly: boolean): void {
  mkdirSync(to, { recursive: true });
  if (isMounted(to)) return;
  execFileSync('mount', ['--bind', from, to]);
  if (readonly) execFileSync('mount', ['-o', 'remount,bind,ro', to]);
}

/** A device is where a file was. */
function bindDevice(device: string, to: string): void {
  writeFileSync(to, '');
  execFileSync('mount', ['--bind', device, to]);
}

function unbind(path: string): void {
  if (isMounted(path)) execFileSync('umount', [path]);
}

export async function startTestDriver(options: TestDriverOptions): Promise<TestDriver> {
  const { name, kubeletDir, storage, nodeId, abilities, topology = {}, maxVolumes = 0 } = options;
  const calls: string[] = [];
  const published: Decoded<typeof NodePublishVolumeRequest>[] = [];
  const staged: Decoded<typeof NodeStageVolumeRequest>[] = [];
  const expanded: Decoded<typeof NodeExpandVolumeRequest>[] = [];
  const registrations: Decoded<typeof RegistrationStatus>[] = [];
  const place = (handle: string): string => join(storage, handle);
  const driver = { failure: undefined as string | undefined };
  const node = (path: string): string => `/csi.v1.Node/${path}`;

  const [endpoint, registry] = [join(kubeletDir, 'plugins', name, 'csi.sock'), join(kubeletDir, 'plugins_registry', `${name}-reg.sock`)];
  mkdirSync(join(kubeletDir, 'plugins', name), { recursive: true });
  const server = await serve(endpoint, [
    method(node('NodeGetInfo'), Empty, NodeGetInfoResponse, () => ({
      nodeId,
      maxVolumesPerNode: maxVolumes,
      accessibleTopology: { segments: topology },
    })),
    method(node('NodeGetCapabilities'), Empty, NodeGetCapabilitiesResponse, () => ({ capabilities: abilities.map((type) => ({ rpc: { type } })) })),
    method(node('NodeStageVolume'), NodeStageVolumeRequest, Empty, (request) => {
      calls.push(`NodeStageVolume ${request.volumeId}`);
      staged.push(request);
      mkdirSync(place(request.volumeId), { recursive: true });
      if (!request.capability?.block) bind(place(request.volumeId), request.stagingTargetPath, false);
      return {};
    }),
    method(node('NodeUnstageVolume'), NodeUnstageVolumeRequest, Empty, ({ volumeId, stagingTargetPath }) => {
      calls.push(`NodeUnstageVolume ${volumeId}`);
      unbind(stagingTargetPath);
      return {};
    }),
    method(node('NodePublishVolume'), NodePublishVolumeRequest, Empty, (request) => {
      calls.push(`NodePublishVolume ${request.volumeId}`);
      if (driver.failure !== undefined) throw new Error(driver.failure);
      published.push(request);
      mkdirSync(place(request.volumeId), { recursive: true });
      if (request.capability?.block) bindDevice(options.deviceOf?.(request.volumeId) ?? '', request.targetPath);
      else bind(request.stagingTargetPath || place(request.volumeId), request.targetPath, request.readonly);
      return {};
    }),
    method(node('NodeUnpublishVolume'), NodeUnpublishVolumeRequest, Empty, ({ volumeId, targetPath }) => {
      calls.push(`NodeUnpublishVolume ${volumeId}`);
      unbind(targetPath);
      if (statSync(targetPath).isDirectory()) rmdirSync(targetPath);
      else rmSync(targetPath);
      return {};
    }),
    method(node('NodeExpandVolume'), NodeExpandVolumeRequest, NodeExpandVolumeResponse, (request) => {
      calls.push(`NodeExpandVolume ${request.volumeId}`);
      expanded.push(request);
      return { capacityBytes: request.capacityRange?.requiredBytes ?? 0 };
    }),
    method(node('NodeGetVolumeStats'), NodeGetVolumeStatsRequest, NodeGetVolumeStatsResponse, () => ({
      usage: [{ available: 600, total: 1000, used: 400, unit: 'BYTES' as const }],
    })),
  ]);
  const registration = await serve(registry, [
    method('/pluginregistration.Registration/GetInfo', Empty, PluginInfo, () => ({
      type: 'CSIPlugin',
      name,
      endpoint,
      supportedVersions: ['1.0.0'],
    })),
    method('/pluginregistration.Registration/NotifyRegistrationStatus', RegistrationStatus, Empty, (answer) => {
      registrations.push(answer);
      return {};
    }),
  ]);

  return Object.assign(driver, {
    calls,
    published,
    staged,
    expanded,
    registrations,
    read: (handle: string, file: string) => readFileSync(join(place(handle), file), 'utf8'),
    async stop() {
      server.forceShutdown();
      registration.forceShutdown();
      rmSync(registry, { force: true });
      rmSync(endpoint, { force: true });
    },
  });
}
