/** Whether what the generator wrote is older than what it was made from. */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** True when a file of `targets` is missing or older than one of `sources`; a folder stands for the files right in it. */
export function isStale(targets: readonly string[], sources: readonly string[]): boolean {
  if (!targets.every((path) => existsSync(path))) return true;
  const oldest = Math.min(...targets.map(changedAtMs));
  return sources.flatMap(filesOf).some((path) => changedAtMs(path) > oldest);
}

function filesOf(path: string): string[] {
  return statSync(path).isDirectory() ? readdirSync(path).map((name) => join(path, name)) : [path];
}

function changedAtMs(path: string): number {
  return statSync(path).mtimeMs;
}
