/**
 * The newest containerd and runc that Debian has (sid's), for what the machine's own cannot do: user namespaces, images as volumes, recursive read-only mounts.
 * containerd runs as it is; runc wants a newer C library than the machine has, so a copy of it is told where sid's is.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, renameSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { debianPackage } from './debian-packages.ts';
import { cacheDirectory } from './stock-tools.ts';

const libraries = { x64: ['x86_64-linux-gnu', 'ld-linux-x86-64.so.2'], arm64: ['aarch64-linux-gnu', 'ld-linux-aarch64.so.1'] } as const;

/** What a PATH has to begin with, for containerd and what it starts to be the newer ones. */
export async function newerContainerd(): Promise<string> {
  const containerd = await debianPackage('sid', 'containerd');
  return [await newerRunc(), join(containerd, 'usr/bin')].join(delimiter);
}

/** The directory that holds it. */
async function newerRunc(): Promise<string> {
  const runc = await debianPackage('sid', 'runc');
  const libc = await debianPackage('sid', 'libc6');
  const seccomp = await debianPackage('sid', 'libseccomp2');
  const patchelf = join(await debianPackage('bookworm', 'patchelf'), 'usr/bin/patchelf');
  const directory = join(cacheDirectory(), 'debian', 'sid-runc-with-libraries');
  if (existsSync(directory)) return directory;
  const [triplet, loader] = libraries[process.arch === 'arm64' ? 'arm64' : 'x64'];
  const below = (root: string): string => join(root, 'usr/lib', triplet);
  const work = mkdtempSync(join(cacheDirectory(), 'making-'));
  const copy = join(work, 'runc');
  copyFileSync(join(runc, 'usr/sbin/runc'), copy);
  chmodSync(copy, 0o755);
  execFileSync(patchelf, ['--set-interpreter', join(below(libc), loader), '--set-rpath', `${below(libc)}:${below(seccomp)}`, copy]);
  mkdirSync(join(cacheDirectory(), 'debian'), { recursive: true });
  try {
    renameSync(work, directory);
  } catch (error) {
    // Another test file was faster.
    if (!existsSync(directory)) throw error;
  }
  return directory;
}
