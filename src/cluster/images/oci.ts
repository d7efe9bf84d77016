/**
 * OCI images (https://github.com/opencontainers/image-spec): layers, configuration, manifest and index, streamed as an image archive that containerd
 * imports. A layer is described by how to make its bytes, which must come out the same each time: they are made once to be hashed and once to be
 * sent, so that nothing of a large layer is ever written to a temporary file.
 */
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { createGzip } from 'node:zlib';
import { entriesOfDirectory, tarArchive, type TarEntry } from './tar.ts';

export interface Layer {
  readonly mediaType: string;
  /** Of the bytes as they are stored. */
  readonly digest: string;
  readonly size: number;
  /** Of the uncompressed tar. */
  readonly diffId: string;
  readonly open: () => AsyncIterable<Buffer>;
}

export interface ImageConfig {
  readonly Entrypoint?: readonly string[];
  readonly Cmd?: readonly string[];
  readonly Env?: readonly string[];
  readonly WorkingDir?: string;
  readonly User?: string;
  readonly ExposedPorts?: Readonly<Record<string, object>>;
  readonly Labels?: Readonly<Record<string, string>>;
  readonly StopSignal?: string;
}

export interface OciImage {
  /** Full references: `k8ts.local/hello:1`, `docker.io/library/nginx:latest`. */
  readonly names: readonly string[];
  readonly architecture: 'amd64' | 'arm64';
  readonly config: ImageConfig;
  readonly layers: readonly Layer[];
}

/** An image that is built only when it is needed. */
export interface ImageRecipe {
  readonly names: readonly string[];
  /** Changes whenever what would be built changes. */
  readonly source: string;
  readonly build: () => Promise<OciImage>;
}

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly platform?: { readonly os: string; readonly architecture: string };
}

interface Blob {
  readonly descriptor: Descriptor;
  readonly bytes: Buffer;
}

const mediaTypes = {
  index: 'application/vnd.oci.image.index.v1+json',
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar',
  gzipLayer: 'application/vnd.oci.image.layer.v1.tar+gzip',
} as const;

/** `entries` is called anew each time the bytes are needed. */
export async function layerOf(entries: () => Iterable<TarEntry> | AsyncIterable<TarEntry>, options: { gzip?: boolean } = {}): Promise<Layer> {
  const plain = (): AsyncIterable<Buffer> => tarArchive(entries());
  const uncompressed = await digestOf(plain());
  if (!(options.gzip ?? false)) return { mediaType: mediaTypes.layer, diffId: uncompressed.digest, ...uncompressed, open: plain };
  const compressed = (): AsyncIterable<Buffer> => Readable.from(plain()).compose(createGzip());
  return { mediaType: mediaTypes.gzipLayer, diffId: uncompressed.digest, ...(await digestOf(compressed())), open: compressed };
}

export function layerFromDirectory(directory: string, options: { gzip?: boolean } = {}): Promise<Layer> {
  return layerOf(() => entriesOfDirectory(directory), options);
}

/** The bytes of an OCI image archive holding these images; what they share is in it once. */
export function ociArchive(images: readonly OciImage[]): AsyncIterable<Buffer> {
  return tarArchive(archiveEntries(images));
}

function* archiveEntries(images: readonly OciImage[]): Generator<TarEntry> {
  const written = new Set<string>();
  const manifests: Descriptor[] = [];
  yield file('oci-layout', Buffer.from(JSON.stringify({ imageLayoutVersion: '1.0.0' })));
  for (const image of images) {
    const { manifest, config } = describe(image);
    for (const layer of image.layers) {
      if (written.has(layer.digest)) continue;
      written.add(layer.digest);
      yield file(blobPath(layer.digest), { size: layer.size, open: layer.open });
    }
    for (const { descriptor, bytes } of [config, manifest]) {
      if (written.has(descriptor.digest)) continue;
      written.add(descriptor.digest);
      yield file(blobPath(descriptor.digest), bytes);
    }
    for (const name of image.names) {
      manifests.push({
        ...manifest.descriptor,
        annotations: { 'io.containerd.image.name': name, 'org.opencontainers.image.ref.name': tagOf(name) },
        platform: { os: 'linux', architecture: image.architecture },
      });
    }
  }
  yield file('index.json', Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.index, manifests })));
}

function describe(image: OciImage): { manifest: Blob; config: Blob } {
  const config = blob(mediaTypes.config, {
    architecture: image.architecture,
    os: 'linux',
    config: image.config,
    rootfs: { type: 'layers', diff_ids: image.layers.map((layer) => layer.diffId) },
  });
  const manifest = blob(mediaTypes.manifest, {
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    config: config.descriptor,
    layers: image.layers.map(({ mediaType, digest, size }) => ({ mediaType, digest, size })),
  });
  return { manifest, config };
}

function blob(mediaType: string, content: object): Blob {
  const bytes = Buffer.from(JSON.stringify(content));
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  return { descriptor: { mediaType, digest, size: bytes.length }, bytes };
}

function file(path: string, content: NonNullable<TarEntry['content']>): TarEntry {
  return { path, type: 'file', mode: 0o644, content };
}

function blobPath(digest: string): string {
  return `blobs/${digest.replace(':', '/')}`;
}

function tagOf(name: string): string {
  const tag = name.slice(name.lastIndexOf('/') + 1).split(':')[1];
  return tag ?? 'latest';
}

async function digestOf(content: AsyncIterable<Buffer>): Promise<{ digest: string; size: number }> {
  const hash = createHash('sha256');
  let size = 0;
  for await (const chunk of content) {
    hash.update(chunk);
    size += chunk.length;
  }
  return { digest: `sha256:${hash.digest('hex')}`, size };
}
