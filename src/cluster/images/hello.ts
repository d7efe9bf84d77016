/**
 * `k8ts.local/hello:1` and `:2`, for tutorials where no registry can be reached: the Node that runs k8ts, the shared libraries it needs, and a small
 * server. The two share all layers; only the version in their environment differs.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFile, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Architecture } from './elf.ts';
import { type ImageRecipe, type Layer, layerOf } from './oci.ts';
import { parentDirectories, type TarEntry } from './tar.ts';

export const helloImageNames = ['k8ts.local/hello:1', 'k8ts.local/hello:2'] as const;

const run = promisify(execFile);
const nodePath = 'usr/bin/node';
const serverPath = 'hello-server.js';
const nobody = '65532:65532';

export async function helloImages(architecture: Architecture): Promise<ImageRecipe[]> {
  const server = await readFile(join(import.meta.dirname, 'hello-server.js'));
  const node = await stat(process.execPath);
  const source = createHash('sha256').update(`${process.version} ${process.execPath} ${node.size} ${node.mtimeMs}`).update(server).digest('hex');
  let layers: Promise<readonly Layer[]> | undefined;
  return helloImageNames.map((name) => {
    const version = name.slice(name.lastIndexOf(':') + 1);
    return {
      names: [name],
      source: source.slice(0, 16),
      build: async () => ({
        names: [name],
        architecture,
        config: {
          Entrypoint: [`/${nodePath}`, `/${serverPath}`],
          Env: ['PATH=/usr/bin', `HELLO_VERSION=${version}`],
          ExposedPorts: { '8080/tcp': {} },
          Labels: { 'org.opencontainers.image.version': version },
          User: nobody,
        },
        layers: await (layers ??= helloLayers(server)),
      }),
    };
  });
}

async function helloLayers(server: Buffer): Promise<Layer[]> {
  const files = new Map([[nodePath, process.execPath]]);
  for (const library of await sharedLibraries(process.execPath)) files.set(library.slice(1), library);
  const node: TarEntry[] = [...parentDirectories([...files.keys()])];
  for (const [path, file] of files) {
    const { size } = await stat(file);
    node.push({ path, type: 'file', mode: 0o755, content: { file: await realpath(file), size } });
  }
  const rest: TarEntry[] = [
    { path: 'etc', type: 'directory', mode: 0o755 },
    { path: 'etc/passwd', type: 'file', mode: 0o644, content: Buffer.from('root:x:0:0:root:/:\nnonroot:x:65532:65532:nonroot:/:\n') },
    { path: serverPath, type: 'file', mode: 0o644, content: server },
    { path: 'tmp', type: 'directory', mode: 0o1777 },
  ];
  // Uncompressed: the image never travels, and packing a hundred megabytes takes longer than starting a cluster.
  return [await layerOf(() => node), await layerOf(() => rest)];
}

/** The dynamic loader and the libraries it would load, by the paths it looks for them. */
async function sharedLibraries(program: string): Promise<string[]> {
  const { stdout } = await run('ldd', [program]);
  // `name => /path (0x…)`, or `/path (0x…)` for the loader; the kernel's vdso has no path.
  return [...stdout.matchAll(/(?:^\s*|=> )(\/\S+) \(0x/gm)].map((match) => match[1] ?? '');
}
