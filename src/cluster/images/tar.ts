/**
 * Tar archives in POSIX's ustar form with pax headers for what does not fit (long names, large files), as OCI layers and archives use them. Entries
 * made from the same input give the same bytes: owner, times and order are the caller's.
 */
import { createReadStream } from 'node:fs';
import { lstat, readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';

export interface TarEntry {
  /** Relative, with `/`; no leading `./`. */
  readonly path: string;
  readonly type: 'file' | 'directory' | 'symlink' | 'hardlink';
  readonly mode: number;
  readonly uid?: number;
  readonly gid?: number;
  /** Seconds since the epoch; 0 when absent. */
  readonly mtime?: number;
  /** Of a link. */
  readonly target?: string;
  /** Of a file: its bytes, or the path to read them from and their number. */
  readonly content?: Buffer | FileContent | StreamContent;
}

export interface FileContent {
  readonly file: string;
  readonly size: number;
}

export interface StreamContent {
  readonly open: () => AsyncIterable<Buffer>;
  readonly size: number;
}

const blockSize = 512;
const typeFlags = { file: '0', hardlink: '1', symlink: '2', directory: '5', pax: 'x' } as const;
const largestOctalSize = 0o77777777777;

/** The archive's bytes. The input may be anything iterable; files are read as they come. */
export async function* tarArchive(entries: Iterable<TarEntry> | AsyncIterable<TarEntry>): AsyncGenerator<Buffer> {
  for await (const entry of entries) {
    const size = contentSize(entry);
    const path = entry.type === 'directory' ? `${entry.path.replace(/\/+$/, '')}/` : entry.path;
    yield headers(entry, path, size);
    if (size === 0) continue;
    yield* exactly(contentOf(entry), size, entry.path);
    yield padding(size);
  }
  yield Buffer.alloc(blockSize * 2);
}

/** Everything below a directory, in name order, owned by root; what is neither file, directory nor link is left out. */
export async function* entriesOfDirectory(root: string, below = ''): AsyncGenerator<TarEntry> {
  const names = (await readdir(join(root, below))).toSorted();
  for (const name of names) {
    const path = below === '' ? name : `${below}/${name}`;
    const file = join(root, path);
    const stats = await lstat(file);
    const mode = stats.mode & 0o7777;
    const mtime = Math.floor(stats.mtimeMs / 1000);
    if (stats.isDirectory()) {
      yield { path, type: 'directory', mode, mtime };
      yield* entriesOfDirectory(root, path);
    } else if (stats.isSymbolicLink()) yield { path, type: 'symlink', mode: 0o777, mtime, target: await readlink(file) };
    else if (stats.isFile()) yield { path, type: 'file', mode, mtime, content: { file, size: stats.size } };
  }
}

/** The directories above these paths, outermost first, each once: layers should hold them with sane modes. */
export function parentDirectories(paths: readonly string[]): TarEntry[] {
  const parents = new Set<string>();
  for (const path of paths) {
    const parts = path.split('/').slice(0, -1);
    for (let i = 1; i <= parts.length; i++) parents.add(parts.slice(0, i).join('/'));
  }
  return [...parents].toSorted().map((path) => ({ path, type: 'directory', mode: 0o755 }));
}

function headers(entry: TarEntry, path: string, size: number): Buffer {
  const target = entry.target ?? '';
  const records: [string, string][] = [];
  if (Buffer.byteLength(path) > 100) records.push(['path', path]);
  if (Buffer.byteLength(target) > 100) records.push(['linkpath', target]);
  if (size > largestOctalSize) records.push(['size', String(size)]);
  const own = header({ path, target, size: Math.min(size, largestOctalSize), mode: entry.mode, entry, flag: typeFlags[entry.type] });
  if (records.length === 0) return own;
  const pax = Buffer.from(records.map(([key, value]) => paxRecord(key, value)).join(''));
  return Buffer.concat([
    header({ path: 'pax', target: '', size: pax.length, mode: 0o644, entry, flag: typeFlags.pax }),
    pax,
    padding(pax.length),
    own,
  ]);
}

interface Header {
  readonly path: string;
  readonly target: string;
  readonly size: number;
  readonly mode: number;
  readonly flag: string;
  readonly entry: TarEntry;
}

function header({ path, target, size, mode, flag, entry }: Header): Buffer {
  const block = Buffer.alloc(blockSize);
  Buffer.from(path).copy(block, 0, 0, 100);
  octal(block, 100, 8, mode);
  octal(block, 108, 8, entry.uid ?? 0);
  octal(block, 116, 8, entry.gid ?? 0);
  octal(block, 124, 12, size);
  octal(block, 136, 12, entry.mtime ?? 0);
  block.write('        ', 148);
  block.write(flag, 156);
  Buffer.from(target).copy(block, 157, 0, 100);
  block.write('ustar\u000000', 257, 'latin1');
  let sum = 0;
  for (const byte of block) sum += byte;
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

function octal(block: Buffer, offset: number, length: number, value: number): void {
  block.write(value.toString(8).padStart(length - 1, '0'), offset, length - 1, 'latin1');
}

/** `length key=value\n`, where the length counts itself. */
function paxRecord(key: string, value: string): string {
  const rest = Buffer.byteLength(` ${key}=${value}\n`);
  let length = rest + String(rest).length;
  if (String(length).length !== String(rest).length) length = rest + String(length).length;
  return `${length} ${key}=${value}\n`;
}

function padding(size: number): Buffer {
  return Buffer.alloc((blockSize - (size % blockSize)) % blockSize);
}

function contentSize({ content, type }: TarEntry): number {
  if (type !== 'file' || content === undefined) return 0;
  return Buffer.isBuffer(content) ? content.length : content.size;
}

async function* contentOf({ content }: TarEntry): AsyncGenerator<Buffer> {
  if (content === undefined) return;
  if (Buffer.isBuffer(content)) yield content;
  else if ('open' in content) yield* content.open();
  else {
    const stream = createReadStream(content.file, { highWaterMark: 1024 * 1024 });
    for await (const chunk of stream) yield Buffer.from(chunk as Uint8Array);
  }
}

/** A file that changed under our hands would shift everything behind it. */
async function* exactly(content: AsyncIterable<Buffer>, size: number, path: string): AsyncGenerator<Buffer> {
  let seen = 0;
  for await (const chunk of content) {
    seen += chunk.length;
    yield chunk;
  }
  if (seen !== size) throw new Error(`${path} has ${seen} bytes, where ${size} were announced`);
}
