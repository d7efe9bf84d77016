/**
 * Images of programs that nobody here wrote, for tests where no registry can be reached: Debian's packages, unpacked into a layer. They behave as the
 * images of the same name on Docker Hub, as far as tutorials use them.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createWriteStream, existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { type ImageConfig, layerFromDirectory, ociArchive } from '../../src/cluster/images/oci.ts';

const run = promisify(execFile);

export const nginxImageNames = ['docker.io/library/nginx:latest', 'docker.io/library/nginx:1.22'] as const;
export const busyboxImageNames = ['docker.io/library/busybox:latest'] as const;

/** Where images and packages are kept between runs. */
export const imageCache = join(import.meta.dirname, '../../.cache/images');

/**
 * nginx as in the official image: in the foreground on port 80, logs to the container's output, pages in /usr/share/nginx/html; with bash and BusyBox
 * for those who look around inside. Answers the archive's path.
 */
export function buildNginxImage(directory = imageCache): Promise<string> {
  return cached(directory, 'nginx', nginxImageNames, async (root) => {
    await unpack(directory, root, ['nginx-light', 'nginx', 'nginx-common', 'bash', 'busybox-static', 'netbase']);
    await linkApplets(root, join(root, 'bin/busybox'));
    await rm(join(root, 'etc/nginx'), { recursive: true });
    for (const path of ['etc/nginx/conf.d', 'var/log/nginx', 'var/lib/nginx', 'run', 'root']) await mkdir(join(root, path), { recursive: true });
    await mkdir(join(root, 'tmp'), { mode: 0o1777, recursive: true });
    await run('chmod', ['1777', join(root, 'tmp')]);
    await writeFile(join(root, 'etc/nginx/nginx.conf'), nginxConf);
    await writeFile(join(root, 'etc/nginx/conf.d/default.conf'), nginxSite);
    await writeFile(join(root, 'etc/nginx/mime.types'), 'types { text/html html; text/css css; application/javascript js; text/plain txt; }\n');
    await writeFile(join(root, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/bash\nnginx:x:101:101:nginx:/nonexistent:/bin/false\n');
    await writeFile(join(root, 'etc/group'), 'root:x:0:\nnginx:x:101:\n');
    await symlink('/dev/stdout', join(root, 'var/log/nginx/access.log'));
    await symlink('/dev/stderr', join(root, 'var/log/nginx/error.log'));
    return {
      Cmd: ['nginx', '-g', 'daemon off;'],
      Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'NGINX_VERSION=1.22.1'],
      ExposedPorts: { '80/tcp': {} },
      StopSignal: 'SIGQUIT',
    };
  });
}

/** BusyBox with all its applets linked into /bin. Answers the archive's path. */
export function buildBusyboxImage(directory = imageCache): Promise<string> {
  return cached(directory, 'busybox', busyboxImageNames, async (root) => {
    await unpack(directory, root, ['busybox-static']);
    await linkApplets(root, join(root, 'bin/busybox'));
    for (const path of ['etc', 'root', 'var', 'tmp', 'home']) await mkdir(join(root, path), { recursive: true });
    await run('chmod', ['1777', join(root, 'tmp')]);
    await writeFile(join(root, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/home:/bin/false\n');
    await writeFile(join(root, 'etc/group'), 'root:x:0:\nnobody:x:65534:\n');
    return { Cmd: ['sh'], Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'] };
  });
}

/** Builds an image unless it is there already. `recipeFile` is the file that says how, so that an image of an older one is not taken. Answers the archive's path. */
export async function cached(
  directory: string,
  name: string,
  names: readonly string[],
  fill: (root: string) => Promise<ImageConfig>,
  recipeFile = import.meta.filename,
): Promise<string> {
  const recipe = createHash('sha256')
    .update(await readFile(recipeFile))
    .digest('hex');
  const archive = join(directory, `${name}-${recipe.slice(0, 12)}.tar`);
  if (existsSync(archive)) return archive;
  await mkdir(directory, { recursive: true });
  const root = await mkdtemp(join(tmpdir(), `k8ts-image-${name}-`));
  try {
    await run('chmod', ['755', root]);
    const config = await fill(root);
    await rm(join(root, 'usr/share/doc'), { recursive: true, force: true });
    await rm(join(root, 'usr/share/man'), { recursive: true, force: true });
    await rm(join(root, 'usr/share/locale'), { recursive: true, force: true });
    const layer = await layerFromDirectory(root, { gzip: true });
    const architecture = process.arch === 'arm64' ? 'arm64' : 'amd64';
    // Renamed when it is whole: another test may be looking for it.
    const partial = `${archive}.${process.pid}`;
    await pipeline(Readable.from(ociArchive([{ names, architecture, config, layers: [layer] }])), createWriteStream(partial));
    await rename(partial, archive);
  } finally {
    await rm(root, { recursive: true });
  }
  return archive;
}

/** Downloads the packages and the libraries they depend on, `without` some of those, and unpacks them without running their scripts. */
export async function unpack(directory: string, root: string, packages: readonly string[], without: readonly string[] = []): Promise<void> {
  const downloads = join(directory, 'debs');
  await mkdir(downloads, { recursive: true });
  const unpacked = new Set<string>(without);
  const visit = async (name: string): Promise<void> => {
    if (unpacked.has(name)) return;
    unpacked.add(name);
    const file = await download(downloads, name);
    await run('dpkg-deb', ['-x', file, root]);
    const { stdout } = await run('dpkg-deb', ['-f', file, 'Pre-Depends', 'Depends']);
    for (const dependency of dependenciesIn(stdout)) if (/^(lib|zlib)/.test(dependency)) await visit(dependency);
  };
  for (const name of packages) await visit(name);
}

async function download(directory: string, name: string): Promise<string> {
  const find = async (): Promise<string | undefined> => (await readdir(directory)).find((file) => file.startsWith(`${name}_`));
  if ((await find()) === undefined) {
    await run('apt-get', ['-o', 'APT::Sandbox::User=root', 'download', name], { cwd: directory }).catch(async () => {
      // A fresh machine has no package lists yet.
      await run('apt-get', ['update']);
      await run('apt-get', ['-o', 'APT::Sandbox::User=root', 'download', name], { cwd: directory });
    });
  }
  const file = await find();
  if (file === undefined) throw new Error(`apt-get did not download ${name}`);
  return join(directory, file);
}

/** `Depends: libc6 (>= 2.28), a | b`: the first of alternatives. */
function dependenciesIn(control: string): string[] {
  const lists = control.split('\n').map((line) => line.replace(/^[\w-]+: /, ''));
  return lists.flatMap((list) => list.split(',')).map((item) => item.trim().split(/[\s|(:]/)[0] ?? '');
}

export async function linkApplets(root: string, busybox: string): Promise<void> {
  const { stdout } = await run(busybox, ['--list']);
  await mkdir(join(root, 'bin'), { recursive: true });
  for (const applet of stdout.split('\n')) {
    const taken = ['bin', 'usr/bin', 'sbin', 'usr/sbin'].some((directory) => existsSync(join(root, directory, applet)));
    if (applet !== '' && !taken) await symlink('busybox', join(root, 'bin', applet));
  }
}

const nginxConf = `user nginx;
worker_processes auto;
error_log /var/log/nginx/error.log notice;
pid /run/nginx.pid;
events { worker_connections 1024; }
http {
  include /etc/nginx/mime.types;
  default_type application/octet-stream;
  access_log /var/log/nginx/access.log;
  sendfile on;
  keepalive_timeout 65;
  include /etc/nginx/conf.d/*.conf;
}
`;

const nginxSite = `server {
  listen 80;
  server_name localhost;
  location / {
    root /usr/share/nginx/html;
    index index.html index.htm;
  }
}
`;
