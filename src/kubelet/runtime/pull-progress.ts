/**
 * How far containerd is with pulling an image. CRI does not tell; containerd's content store does: the image's manifest is there first, marked with where it
 * came from, and names the layers, which are then there, or on their way.
 */
import { type ImageName, parseImageName } from '../image-name.ts';
import {
  ListContentRequest,
  ListContentResponse,
  ListStatusesRequest,
  ListStatusesResponse,
  ReadContentRequest,
  ReadContentResponse,
} from './content-messages.ts';
import type { CriChannel } from './cri-channel.ts';
import type { PullProgress } from './runtime.ts';
import type { Clock } from '../../world/world.ts';

const service = '/containerd.services.content.v1.Content';
const timeoutMs = 5000;
const mostManifestBytes = 4 * 2 ** 20;

interface Layer {
  readonly digest: string;
  readonly size: number;
}

/** Undefined when nothing of it is on its way. */
export async function pullProgress(channel: CriChannel, clock: Clock, image: string): Promise<PullProgress | undefined> {
  const name = parseImageName(image);
  if (!name) return undefined;
  const { statuses } = await channel.call(`${service}/ListStatuses`, ListStatusesRequest, ListStatusesResponse, {}, { timeoutMs });
  const arriving = new Map(statuses.flatMap(({ ref, offset }) => digestsIn(ref).map((digest) => [digest, offset] as const)));
  if (arriving.size === 0) return undefined;
  const present = new Map((await list(channel, clock, [])).map(({ digest, size }) => [digest, size]));
  for (const { digest, size } of await list(channel, clock, [sourceFilter(name)])) {
    const layers = size > mostManifestBytes ? [] : layersIn(await read(channel, clock, digest, size));
    if (!layers.some((layer) => arriving.has(layer.digest))) continue;
    return {
      totalBytes: sum(layers, ({ size: whole }) => whole),
      doneBytes: sum(layers, (layer) => present.get(layer.digest) ?? Math.min(arriving.get(layer.digest) ?? 0, layer.size)),
    };
  }
  return undefined;
}

/** containerd labels what it fetched with the host, without its port, and the repositories it was fetched for. */
function sourceFilter({ registry, repository }: ImageName): string {
  const host = registry.replace(/:\d+$/, '').replace(/^\[|\]$/g, '');
  return `labels."containerd.io/distribution.source.${host}"~=${JSON.stringify(`(^|,)${repository.replace(/[.]/g, '[.]')}(,|$)`)}`;
}

async function list(channel: CriChannel, clock: Clock, filters: readonly string[]): Promise<readonly Layer[]> {
  const found: Layer[] = [];
  await bounded(clock, (signal) =>
    channel.stream(`${service}/List`, ListContentRequest, ListContentResponse, { filters }, ({ info }) => void found.push(...info), signal),
  );
  return found;
}

async function read(channel: CriChannel, clock: Clock, digest: string, size: number): Promise<string> {
  const parts: Buffer[] = [];
  await bounded(clock, (signal) =>
    channel.stream(`${service}/Read`, ReadContentRequest, ReadContentResponse, { digest, size }, ({ data }) => void parts.push(data), signal),
  );
  return Buffer.concat(parts).toString('utf8');
}

async function bounded(clock: Clock, work: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const abort = new AbortController();
  const bound = clock.after(timeoutMs, () => abort.abort());
  try {
    await work(abort.signal);
  } finally {
    bound.cancel();
  }
}

/** None in what is no manifest. */
function layersIn(text: string): readonly Layer[] {
  let manifest: unknown;
  try {
    manifest = JSON.parse(text);
  } catch {
    return [];
  }
  if (typeof manifest !== 'object' || manifest === null || !('layers' in manifest) || !Array.isArray(manifest.layers)) return [];
  return manifest.layers.flatMap(({ digest, size }: { digest?: unknown; size?: unknown }): Layer[] =>
    typeof digest === 'string' && typeof size === 'number' ? [{ digest, size }] : [],
  );
}

/** `layer-sha256:…` is the name of what is on its way. */
function digestsIn(ref: string): readonly string[] {
  return /sha256:[0-9a-f]{64}/.exec(ref) ?? [];
}

function sum<T>(items: readonly T[], amount: (item: T) => number): number {
  return items.reduce((all, item) => all + amount(item), 0);
}
