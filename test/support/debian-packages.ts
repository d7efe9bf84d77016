/**
 * Programs of other Debian releases, for tests that want older and newer clients than the machine's own: found in the release's index (which names the file and
 * its SHA-256, so a superseded version is never asked for), unpacked once into `.cache/`, installed nowhere.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheDirectory } from './stock-tools.ts';

const archive = 'http://deb.debian.org/debian';
const architecture = process.arch === 'arm64' ? 'arm64' : 'amd64';

export type DebianRelease = 'bookworm' | 'trixie' | 'sid';

interface PackageFile {
  readonly version: string;
  readonly path: string;
  readonly sha256: string;
}

/** The folder that holds the package's files, as if `/` were there. Throws when the archive cannot be reached or a file is not what the index says. */
export async function debianPackage(release: DebianRelease, name: string): Promise<string> {
  const directory = join(cacheDirectory(), 'debian', `${release}-${name}`);
  if (existsSync(directory)) return directory;
  const file = await inIndex(release, name);
  const bytes = await download(`${archive}/${file.path}`);
  const digest = createHash('sha256').update(bytes).digest('hex');
  if (digest !== file.sha256) throw new Error(`${file.path} has SHA-256 ${digest}, the index of ${release} says ${file.sha256}`);
  const work = mkdtempSync(join(cacheDirectory(), 'unpacking-'));
  writeFileSync(join(work, 'package.deb'), bytes);
  execFileSync('dpkg-deb', ['-x', 'package.deb', 'files'], { cwd: work });
  execFileSync('mkdir', ['-p', join(cacheDirectory(), 'debian')]);
  try {
    renameSync(join(work, 'files'), directory);
  } catch (error) {
    // Another test file was faster.
    if (!existsSync(directory)) throw error;
  }
  rmSync(work, { recursive: true, force: true });
  return directory;
}

/** Path of kubectl as a release ships it: v1.20 in bookworm, v1.32 in trixie, the newest in sid. */
export async function debianKubectl(release: DebianRelease): Promise<string> {
  const name = release === 'bookworm' ? 'kubernetes-client' : 'kubectl';
  return join(await debianPackage(release, name), 'usr/bin/kubectl');
}

const indexes = new Map<DebianRelease, Promise<string>>();

async function inIndex(release: DebianRelease, name: string): Promise<PackageFile> {
  let index = indexes.get(release);
  if (!index) {
    index = download(`${archive}/dists/${release}/main/binary-${architecture}/Packages.xz`).then((packed) =>
      execFileSync('xz', ['-dc'], { input: packed, maxBuffer: 512 * 1024 * 1024 }).toString('utf8'),
    );
    indexes.set(release, index);
  }
  const text = await index;
  const start = text.startsWith(`Package: ${name}\n`) ? 0 : text.indexOf(`\nPackage: ${name}\n`) + 1;
  if (start === 0 && !text.startsWith(`Package: ${name}\n`)) throw new Error(`${release} has no package ${name} for ${architecture}`);
  const paragraph = text.slice(start, text.indexOf('\n\n', start));
  const field = (label: string): string => {
    const value = new RegExp(`^${label}: (.*)$`, 'm').exec(paragraph)?.[1];
    if (value === undefined) throw new Error(`${release}'s index says no ${label} of ${name}`);
    return value;
  };
  return { version: field('Version'), path: field('Filename'), sha256: field('SHA256') };
}

async function download(url: string): Promise<Buffer> {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`${url}: ${answer.status}`);
  return Buffer.from(await answer.arrayBuffer());
}
