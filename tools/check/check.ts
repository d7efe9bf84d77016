/**
 * Checks the architecture's invariants that a compiler does not: who imports whom, who touches time and chance, what files are called. Prints each
 * breach as `file:line: sentence` and exits 1 when there is one.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { bannedNames, layers, ownersOfTime, unreached } from './layers.ts';
import { reachBreaches } from './reached.ts';

export interface SourceFile {
  /** Relative to the project's root, with forward slashes. */
  readonly path: string;
  readonly text: string;
}

const importPattern =
  /(?<=^|\s)(?:import|export)\s[^'"]*?from\s+['"](\.[^'"]+)['"]|import\(\s*['"](\.[^'"]+)['"]\s*\)|^import\s+['"](\.[^'"]+)['"]/gm;
const bannedGlobals = /(?<![.\w])(Date\.now|performance\.now|setTimeout|setInterval|Math\.random|randomUUID)\b|\bnew Date\(\)/g;
const httpModule = /^import\s+(?!type\b)[^;]*?from\s+['"]node:http['"]/gm;
const timersModule = /from\s+['"](?:node:)?timers(?:\/promises)?['"]/g;

/** Every breach, as a sentence with its place. */
export function breaches(files: readonly SourceFile[]): string[] {
  return [...files.flatMap((file) => [...namesOf(file), ...layerBreaches(file), ...globalBreaches(file)]), ...reachBreaches(files, unreached)];
}

function folderOf(path: string): string | undefined {
  const [top, folder, ...rest] = path.split('/');
  return top === 'src' && folder !== undefined && rest.length > 0 ? folder : undefined;
}

function namesOf(file: SourceFile): string[] {
  const parts = file.path.replace(/\.[a-z.]+$/, '').split('/');
  const bad = parts.find((part) => bannedNames.includes(part));
  return bad === undefined ? [] : [`${file.path}:1: nothing is called "${bad}": name it for its concept`];
}

function layerBreaches(file: SourceFile): string[] {
  const folder = folderOf(file.path);
  if (folder === undefined) return [];
  const allowed = layers[folder];
  if (!allowed) return [`${file.path}:1: folder src/${folder} has no line in tools/check/layers.ts`];
  const found: string[] = [];
  for (const match of file.text.matchAll(importPattern)) {
    const specifier = match[1] ?? match[2] ?? match[3] ?? '';
    const target = relative('/', resolve('/', dirname(file.path), specifier));
    const targetFolder = folderOf(target);
    if (targetFolder === undefined) {
      if (!target.startsWith('src/') && target !== 'package.json') found.push(`${place(file, match.index)}: src/ imports ${target}, outside src/`);
      else if (folder !== 'bin' && target !== 'package.json')
        found.push(`${place(file, match.index)}: ${folder} imports ${target}, which stands above the layers`);
    } else if (targetFolder !== folder && !allowed.includes(targetFolder)) {
      found.push(`${place(file, match.index)}: ${folder} may not import ${targetFolder} (it may: ${allowed.join(', ') || 'nothing'})`);
    }
  }
  return found;
}

function globalBreaches(file: SourceFile): string[] {
  const folder = folderOf(file.path);
  if (folder === undefined || ownersOfTime.includes(folder)) return [];
  const isTest = file.path.endsWith('.test.ts');
  const patterns = isTest ? [bannedGlobals] : [bannedGlobals, timersModule];
  // Tests of real processes may wait for real time, as promises.
  const text = withoutComments(isTest ? file.text.replace(/^import .* from 'node:timers\/promises';$/gm, '') : file.text);
  const found = patterns.flatMap((pattern) =>
    [...text.matchAll(pattern)].map((match) => `${place(file, match.index)}: "${match[0]}" outside world/: take it from the World passed in`),
  );
  if (isTest) return found;
  return [
    ...found,
    ...[...text.matchAll(httpModule)].map((match) => `${place(file, match.index)}: node:http is taken from world/node-http.ts, types aside`),
  ];
}

/** Blanks comments and keeps line numbers, so that prose may speak of `Date.now`. */
function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\/|(^|\s)\/\/[^\n]*/g, (comment) => comment.replace(/[^\n]/g, ' '));
}

function place(file: SourceFile, index: number): string {
  return `${file.path}:${file.text.slice(0, index).split('\n').length}`;
}

function sourceFiles(root: string): SourceFile[] {
  const files: SourceFile[] = [];
  for (const top of ['src', 'test', 'bench', 'tools']) {
    for (const entry of readdirSync(join(root, top), { recursive: true, withFileTypes: true })) {
      if (!entry.isFile() || !entry.name.endsWith('.ts')) continue;
      const path = join(entry.parentPath, entry.name);
      if (path.includes('/generated/')) continue;
      files.push({ path: relative(root, path), text: readFileSync(path, 'utf8') });
    }
  }
  return files;
}

if (import.meta.main) {
  const found = breaches(sourceFiles(resolve(import.meta.dirname, '../..')));
  for (const line of found) console.error(line);
  if (found.length > 0) process.exit(1);
}
