/** Pods of one cluster with real containers, for the conformance behaviours: made, waited for by events, and read from, as several tests at once do. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createWriteStream } from 'node:fs';
import { CoreV1Api } from '@kubernetes/client-node';
import { WebSocket } from 'ws';
import type { Kind } from '../../src/api/kind.ts';
import { Pod } from '../../src/api/kinds.ts';
import type { V1Container } from '../../src/api/types.ts';
import type { Client, ResourceClient } from '../../src/client/client.ts';
import { httpTransport } from '../../src/client/http.ts';
import { createInformers } from '../../src/client/informers.ts';
import { connectionOf } from '../../src/client/kubeconfig.ts';
import { createClient } from '../../src/client/typed-client.ts';
import { layerOf, ociArchive } from '../../src/cluster/images/oci.ts';
import type { Draft, KubeObject } from '../../src/machinery/object.ts';
import { realWorld } from '../../src/world/real.ts';
import { buildBusyboxImage } from '../images/debian-image.ts';
import { type ClusterUnderTest, startClusterUnderTest } from '../support/cluster-under-test.ts';
import { debianPackage } from '../support/debian-packages.ts';
import { cacheDirectory } from '../support/stock-tools.ts';
import { configOf } from './official-client.ts';

export type PodSpec = Pod['spec'];

export interface RealPods {
  readonly cluster: ClusterUnderTest;
  readonly client: Client;
  of<T extends KubeObject>(kind: Kind<T>): ResourceClient<T>;
  create(name: string, spec: Partial<PodSpec>, metadata?: Partial<Draft<Pod>['metadata']>): Promise<Pod>;
  /** As soon as the pod is so; fails after a minute, or when what is waited for cannot be any more. */
  until(name: string, what: string, holds: (pod: Pod) => boolean, patienceMs?: number): Promise<Pod>;
  untilGone(name: string): Promise<void>;
  /** The pod runs to its end, well. Answers what its container printed. */
  outputOf(name: string, spec: Partial<PodSpec>, metadata?: Partial<Draft<Pod>['metadata']>): Promise<string>;
  log(name: string, container?: string): Promise<string>;
  /** Runs a shell line in the pod's container by stock kubectl. */
  inside(name: string, script: string): Promise<string>;
  /** All messages of a WebSocket to a path of the API server, until it is closed. */
  messages(path: string, protocols: readonly string[]): Promise<Buffer[]>;
  close(): Promise<void>;
}

const namespace = 'default';
const patience = 60_000;

/** A container that runs a shell line in BusyBox. */
export function shell(script: string, more: Partial<V1Container> = {}): V1Container {
  return { name: 'main', image: 'busybox', command: ['sh', '-c', script], ...more };
}

/** A pod of one such container that is not started again. */
export function once(script: string, more: Partial<V1Container> = {}): Partial<PodSpec> {
  return { restartPolicy: 'Never', containers: [shell(script, more)] };
}

export function isReady({ status }: Pod): boolean {
  return status.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') ?? false;
}

export const isRunning = (pod: Pod): boolean => pod.status.phase === 'Running' && isReady(pod);
export const restartsOf = ({ status }: Pod): number => status.containerStatuses?.[0]?.restartCount ?? 0;

export async function startRealPods(...args: string[]): Promise<RealPods> {
  const cluster = await startClusterUnderTest(...args);
  try {
    const image = await cluster.k8ts(['image', 'load', await buildBusyboxImage(cacheDirectory()), '--data-dir', cluster.dataDir]);
    assert.equal(image.code, 0, image.stderr);
    return realPodsOf(cluster);
  } catch (error) {
    await cluster.close();
    throw error;
  }
}

export function realPodsOf(cluster: ClusterUnderTest): RealPods {
  const connection = connectionOf(cluster.kubeconfig);
  const client = createClient(httpTransport(connection));
  const informers = createInformers(client, realWorld({ level: 'silent' }));
  const seen = informers.of(Pod, { namespace });
  const official = configOf(cluster).makeApiClient(CoreV1Api);

  function until(name: string, what: string, holds: (pod: Pod | undefined) => boolean, patienceMs: number): Promise<Pod | undefined> {
    return new Promise((resolve, reject) => {
      const [latest, given] = [() => seen.get(name, namespace), AbortSignal.timeout(patienceMs)];
      const settle = (): void => {
        given.onabort = null;
        stop();
      };
      const look = (): void => {
        const pod = latest();
        if (!holds(pod)) return;
        settle();
        resolve(pod);
      };
      // Replays what is there before it returns.
      let stop = (): void => {};
      const wakened = (pod: Pod): void => {
        if (pod.metadata.name === name) queueMicrotask(look);
      };
      stop = seen.subscribe({ added: wakened, updated: wakened, deleted: wakened });
      given.onabort = () => {
        settle();
        reject(new Error(`${name} ${what}: not within ${patienceMs} ms; it is ${JSON.stringify(latest()?.status)}`));
      };
      look();
    });
  }

  const pods: RealPods = {
    cluster,
    client,
    of: (kind) => client.resource(kind).namespace(namespace),
    async create(name, spec, metadata = {}) {
      const containers = spec.containers ?? [shell('sleep 1000')];
      const draft: Draft<Pod> = {
        metadata: { labels: { name }, ...metadata, name },
        spec: { terminationGracePeriodSeconds: 1, ...spec, containers },
      };
      return client.resource(Pod).namespace(namespace).create(draft);
    },
    async until(name, what, holds, patienceMs = patience) {
      const pod = await until(name, what, (latest) => latest !== undefined && holds(latest), patienceMs);
      assert(pod);
      return pod;
    },
    async untilGone(name) {
      await until(name, 'is gone', (latest) => latest === undefined, patience);
    },
    async outputOf(name, spec, metadata) {
      await pods.create(name, spec, metadata);
      const ended = await pods.until(name, 'has ended', ({ status }) => status.phase === 'Succeeded' || status.phase === 'Failed');
      const output = await pods.log(name);
      assert.equal(ended.status.phase, 'Succeeded', output);
      await client.resource(Pod).namespace(namespace).delete(name);
      return output;
    },
    log: (name, container) => official.readNamespacedPodLog({ name, namespace, ...(container !== undefined && { container }) }),
    inside: (name, script) => cluster.kubectl(['exec', name, '--', 'sh', '-c', script]),
    messages: (path, protocols) =>
      new Promise((resolve, reject) => {
        const all: Buffer[] = [];
        const { server, ca, certificate, key } = connection;
        const url = `${server.replace(/^http/, 'ws')}${path}`;
        const webSocket = new WebSocket(url, [...protocols], { ca, cert: certificate, key, handshakeTimeout: patience });
        webSocket.on('message', (data: Buffer) => all.push(data));
        webSocket.on('close', () => resolve(all));
        webSocket.on('error', reject);
      }),
    async close() {
      informers.close();
      client.transport.close();
      await cluster.close();
    },
  };
  return pods;
}

/** Loads an image that prints its arguments: its own entry point says `entry point` first, and `default arguments` when it is given none. */
export async function loadEchoImage(cluster: ClusterUnderTest): Promise<string> {
  const name = 'registry.example/echo:1';
  const busybox = join(await debianPackage('bookworm', 'busybox-static'), 'bin/busybox');
  const layer = await layerOf(() => [
    { path: 'bin', type: 'directory', mode: 0o755 },
    { path: 'bin/busybox', type: 'file', mode: 0o755, content: { file: busybox, size: statSync(busybox).size } },
  ]);
  const config = { Entrypoint: ['/bin/busybox', 'echo', 'entry point:'], Cmd: ['default', 'arguments'] };
  const architecture = process.arch === 'arm64' ? 'arm64' : 'amd64';
  const directory = mkdtempSync(join(tmpdir(), 'k8ts-echo-'));
  try {
    const file = join(directory, 'echo.tar');
    await pipeline(Readable.from(ociArchive([{ names: [name], architecture, config, layers: [layer] }])), createWriteStream(file));
    const loaded = await cluster.k8ts(['image', 'load', file, '--data-dir', cluster.dataDir]);
    assert.equal(loaded.code, 0, loaded.stderr);
  } finally {
    rmSync(directory, { recursive: true });
  }
  return name;
}
