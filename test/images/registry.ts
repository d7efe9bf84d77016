/**
 * A container registry of a test's own: the pulling half of the OCI distribution API over HTTP on loopback, serving one image under any name. The first part
 * of a repository's name says how it behaves: `public`, `private` (asks for a user), `slow` (until it is let go), `garbage`, `truncated`, `away`; any other
 * is not there.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

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
  const original = JSON.parse(await readFile(blobFile(manifest.digest), 'utf8')) as { config: Descriptor };
  const originalConfig = JSON.parse(await readFile(blobFile(original.config.digest), 'utf8')) as object;

  function keep(value: object): { readonly digest: string; readonly size: number } {
    const bytes = Buffer.from(JSON.stringify(value));
    const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
    variants.set(digest, bytes);
    return { digest, size: bytes.length };
  }

  function manifestOf(repository: string): string {
    const config = keep({ ...originalConfig, author: repository });
    return keep({ ...original, config: { ...original.config, ...config } }).digest;
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
    if (!['public', 'private', 'slow', 'truncated'].includes(behaviour))
      return refuse(response, 404, 'NAME_UNKNOWN', 'repository name not known to registry');
    if (behaviour === 'slow' && what === 'blobs') await new Promise<void>((resolve) => waiting.push(resolve));
    const digest = what === 'manifests' && !reference.startsWith('sha256:') ? manifestOf(repository) : reference;
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
    if (variant) response.end(variant);
    else createReadStream(file).pipe(response);
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

function basic(): string {
  return `Basic ${Buffer.from(`${registryUser.username}:${registryUser.password}`).toString('base64')}`;
}

function refuse(response: ServerResponse, status: number, code: string, message: string, headers: Record<string, string> = {}): void {
  response.writeHead(status, { 'Content-Type': 'application/json', ...headers }).end(JSON.stringify({ errors: [{ code, message }] }));
}
