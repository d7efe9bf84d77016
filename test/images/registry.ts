/**
 * A container registry of a test's own: the pulling half of the OCI distribution API over HTTP on loopback, serving one image under any name. The first part
 * of a repository's name says how it behaves: `public`, `private` (asks for a user), `slow` (until it is let go), `half` (sends half of its
 * largest part, and the rest when it is let go), `garbage`, `truncated`, `away`; any other
 * is not there.
 */
import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const largeBytes = 6 * 2 ** 20;

export const registryUser = { username: 'reader', password: 'open sesame' };

export interface TestRegistry {
  /** `127.0.0.1:40123`: what an image's name begins with. */
  readonly host: string;
  /** `GET /v2/public/busybox/manifests/latest`, in order. */
  readonly requests: readonly string[];
  /** How many requests the slow repositories hold back. */
  held(): number;
  letGo(): void;
  close(): Promise<void>;
}

interface Descriptor {
  readonly digest: string;
  readonly mediaType: string;
}

/** `archive` is an OCI image layout in a tar file. */
export async function startRegistry(archive: string): Promise<TestRegistry> {
  const layout = await mkdtemp(join(tmpdir(), 'k8ts-registry-'));
  await run('tar', ['-xf', archive, '-C', layout]);
  const index = JSON.parse(await readFile(join(layout, 'index.json'), 'utf8')) as { manifests: Descriptor[] };
  const [manifest] = index.manifests;
  if (!manifest) throw new Error(`${archive} holds no image`);
  /** Every repository has an image of its own, so that none is there already: its configuration names it. */
  const variants = new Map<string, Buffer>();
  const blobFile = (digest: string): string => join(layout, 'blobs', ...digest.split(':'));
  const original = JSON.parse(await readFile(blobFile(manifest.digest), 'utf8')) as { config: Descriptor; layers: object[] };
  const originalConfig = JSON.parse(await readFile(blobFile(original.config.digest), 'utf8')) as { rootfs: { diff_ids: string[] } };
  let large: ReturnType<typeof makeLargeLayer> | undefined;

  function keep(value: object): { readonly digest: string; readonly size: number } {
    const bytes = Buffer.from(JSON.stringify(value));
    const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
    variants.set(digest, bytes);
    return { digest, size: bytes.length };
  }

  async function manifestOf(repository: string, behaviour: string): Promise<string> {
    const more = behaviour === 'half' ? [await (large ??= makeLargeLayer())] : [];
    const rootfs = { ...originalConfig.rootfs, diff_ids: [...originalConfig.rootfs.diff_ids, ...more.map(({ digest }) => digest)] };
    const config = keep({ ...originalConfig, rootfs, author: repository });
    return keep({ ...original, config: { ...original.config, ...config }, layers: [...original.layers, ...more] }).digest;
  }

  /** Of several mebibytes: containerd counts in those. */
  async function makeLargeLayer(): Promise<Descriptor & { readonly size: number }> {
    await writeFile(join(layout, 'large'), randomBytes(largeBytes));
    const { stdout } = await run('tar', ['-cf', '-', '-C', layout, 'large'], { encoding: 'buffer', maxBuffer: 2 * largeBytes });
    const digest = `sha256:${createHash('sha256').update(stdout).digest('hex')}`;
    await writeFile(blobFile(digest), stdout);
    return { digest, size: stdout.length, mediaType: 'application/vnd.oci.image.layer.v1.tar' };
  }

  const requests: string[] = [];
  let waiting: (() => void)[] = [];

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = new URL(request.url ?? '/', 'http://registry').pathname;
    requests.push(`${request.method} ${path}`);
    const match = /^\/v2\/(([^/]+)\/.+)\/(manifests|blobs)\/([^/]+)$/.exec(path);
    const [, repository = '', behaviour = '', what = '', reference = ''] = match ?? [];
    if (behaviour === 'private' && request.headers.authorization !== basic()) {
      return refuse(response, 401, 'UNAUTHORIZED', 'authentication required', { 'WWW-Authenticate': 'Basic realm="registry"' });
    }
    if (path === '/v2/') return void response.writeHead(200).end('{}');
    if (behaviour === 'away') return refuse(response, 503, 'UNAVAILABLE', 'come back later');
    if (behaviour === 'garbage') return void response.writeHead(200, { 'Content-Type': manifest?.mediaType }).end('<html>not an image</html>');
    if (!['public', 'private', 'slow', 'half', 'truncated'].includes(behaviour))
      return refuse(response, 404, 'NAME_UNKNOWN', 'repository name not known to registry');
    if (behaviour === 'slow' && what === 'blobs') await new Promise<void>((resolve) => waiting.push(resolve));
    const digest = what === 'manifests' && !reference.startsWith('sha256:') ? await manifestOf(repository, behaviour) : reference;
    const variant = variants.get(digest);
    const file = blobFile(digest);
    const size = variant
      ? variant.length
      : await stat(file).then(
          (found) => found.size,
          () => undefined,
        );
    if (size === undefined) return refuse(response, 404, 'BLOB_UNKNOWN', 'blob unknown to registry');
    const mediaType = what === 'manifests' ? manifest?.mediaType : 'application/octet-stream';
    response.writeHead(200, { 'Content-Type': mediaType, 'Content-Length': size, 'Docker-Content-Digest': digest });
    if (request.method === 'HEAD') return void response.end();
    if (behaviour === 'truncated' && what === 'blobs') return void response.write('half of it', () => response.destroy());
    if (variant) return void response.end(variant);
    if (behaviour === 'half') {
      await sendUpTo(file, Math.floor(size / 2), response);
      await new Promise<void>((resolve) => waiting.push(resolve));
      createReadStream(file, { start: Math.floor(size / 2) }).pipe(response);
    } else createReadStream(file).pipe(response);
  }

  const server = createServer((request, response) => {
    answer(request, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const letGo = (): void => {
    for (const go of waiting) go();
    waiting = [];
  };
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    held: () => waiting.length,
    letGo,
    async close() {
      letGo();
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
      await rm(layout, { recursive: true, force: true });
    },
  };
}

function sendUpTo(file: string, end: number, response: ServerResponse): Promise<void> {
  return new Promise((resolve, reject) => {
    const part = createReadStream(file, { end: end - 1 });
    part.on('error', reject);
    part.on('end', resolve);
    part.pipe(response, { end: false });
  });
}

function basic(): string {
  return `Basic ${Buffer.from(`${registryUser.username}:${registryUser.password}`).toString('base64')}`;
}

function refuse(response: ServerResponse, status: number, code: string, message: string, headers: Record<string, string> = {}): void {
  response.writeHead(status, { 'Content-Type': 'application/json', ...headers }).end(JSON.stringify({ errors: [{ code, message }] }));
}
