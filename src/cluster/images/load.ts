/**
 * Brings images into the runtime and lists them, by containerd's own `ctr` on the cluster's private socket: OCI archives and layouts, archives of
 * `docker save`, and images assembled in memory.
 */
import { spawn } from 'node:child_process';
import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type ImageRecipe, ociArchive, type OciImage } from './oci.ts';
import { entriesOfDirectory, tarArchive } from './tar.ts';

export interface LoadTarget {
  /** Path of containerd's socket. */
  readonly socket: string;
  readonly signal?: AbortSignal;
}

export interface StoredImage {
  /** Full reference. */
  readonly name: string;
  readonly digest: string;
  readonly mediaType: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** containerd keeps labels with an image; this one says what a built image was built of. */
const sourceLabel = 'k8ts.local/source';

/** An archive's file or a layout's directory. Answers the names of what was loaded. */
export async function loadImages(target: LoadTarget & { readonly path: string }): Promise<string[]> {
  const stats = await stat(target.path);
  const loaded = stats.isDirectory()
    ? await importArchive(target, ['-'], tarArchive(entriesOfDirectory(target.path)))
    : await importArchive(target, [target.path]);
  if (loaded.length === 0)
    throw new Error('it names no image for this machine: the index needs a name for each, as in `org.opencontainers.image.ref.name`');
  return Promise.all(loaded.map((name) => namedAfterFile(target, name)));
}

/** An OCI archive may say an image's tag only; containerd then calls it after the day, which nobody would find again. */
async function namedAfterFile(target: LoadTarget & { readonly path: string }, name: string): Promise<string> {
  const tag = /^import-\d{4}-\d\d-\d\d:(.+)$/.exec(name)?.[1];
  if (tag === undefined) return name;
  const base = basename(target.path)
    .replace(/\.(tar|tgz|tar\.gz|oci)$/i, '')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-');
  const better = `docker.io/library/${base}:${tag}`;
  await ctr(target, ['images', 'tag', '--force', name, better]);
  await ctr(target, ['images', 'remove', name]);
  return better;
}

/** Builds and loads those of the images that are not there yet, or come of another source. Answers the names of what was loaded. */
export async function loadBuiltImages(target: LoadTarget, recipes: readonly ImageRecipe[]): Promise<string[]> {
  const stored = new Map((await listImages(target)).map((image) => [image.name, image.labels]));
  const missing = recipes.filter(({ names, source }) => names.some((name) => stored.get(name)?.[sourceLabel] !== source));
  if (missing.length === 0) return [];
  const images: OciImage[] = [];
  for (const { build } of missing) images.push(await build());
  const loaded = await importArchive(target, ['-'], ociArchive(images));
  await Promise.all(missing.flatMap(({ names, source }) => names.map((name) => ctr(target, ['images', 'label', name, `${sourceLabel}=${source}`]))));
  return loaded;
}

export async function listImages(target: LoadTarget): Promise<StoredImage[]> {
  const output = await ctr(target, ['images', 'list']);
  // REF TYPE DIGEST SIZE(number and unit) PLATFORMS LABELS; CRI also keeps each image under its digest and its configuration's.
  return output
    .split('\n')
    .slice(1)
    .map((line) => line.split(/\s+/))
    .flatMap(([name = '', mediaType = '', digest = '', , , , labels = '']) =>
      name === '' || /^sha256:|@sha256:/.test(name) ? [] : [{ name, mediaType, digest, labels: labelsOf(labels) }],
    );
}

function labelsOf(column: string): Record<string, string> {
  const pairs = column.split(',').filter((pair) => pair.includes('='));
  return Object.fromEntries(pairs.map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]));
}

async function importArchive(target: LoadTarget, source: readonly string[], input?: AsyncIterable<Buffer>): Promise<string[]> {
  // Since 2.0 the daemon unpacks unless asked otherwise, and then tells names only as far as a column is wide.
  const local = (await majorVersion(target)) >= 2 ? ['--local'] : [];
  const output = await ctr(target, ['images', 'import', ...local, ...source], input);
  return [...output.matchAll(/^unpacking (\S+) \(/gm)].map((match) => match[1] ?? '');
}

async function majorVersion(target: LoadTarget): Promise<number> {
  // `ctr github.com/containerd/containerd/v2 2.1.9`, in older ones `ctr containerd.io 1.6.20~ds1`.
  return Number(/ v?(\d+)\.\d+\.\d+/.exec(await ctr(target, ['--version']))?.[1] ?? 1);
}

async function ctr(target: LoadTarget, args: readonly string[], input?: AsyncIterable<Buffer>): Promise<string> {
  const child = spawn('ctr', ['--address', target.socket, '--namespace', 'k8s.io', ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
    ...(target.signal === undefined ? {} : { signal: target.signal }),
  });
  const exited = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  let inputProblem: NodeJS.ErrnoException | undefined;
  const [output, errors, code] = await Promise.all([
    textOf(child.stdout),
    textOf(child.stderr),
    exited,
    pipeline(Readable.from(input ?? []), child.stdin).catch((error: NodeJS.ErrnoException) => {
      inputProblem = error;
    }),
  ]);
  // When it ended early, its own words say why; the broken pipe says nothing.
  if (inputProblem !== undefined && inputProblem.code !== 'EPIPE') throw inputProblem;
  if (code !== 0) throw new Error(`ctr ${args.join(' ')}: ${errors.trim() || `ended with ${code}`}`);
  return output;
}

async function textOf(stream: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}
