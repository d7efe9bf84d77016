/**
 * Audit events in a file, a line each: written in the background from a bounded buffer, the file put aside when it is full, old ones deleted by number and
 * age, as upstream's log backend does.
 */
import { open, readdir, rename, stat, unlink, type FileHandle } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import type { World } from '../../world/world.ts';
import type { AuditBackend } from './audit.ts';

export interface AuditLogOptions {
  /** A file, or `-` for standard output. */
  readonly path: string;
  /** The file is put aside when it would grow beyond this; 0 for never. */
  readonly maxSizeBytes?: number;
  /** How many old files stay; 0 for all. */
  readonly maxBackups?: number;
  /** How old they may get; 0 for any age. */
  readonly maxAgeMs?: number;
  /** Events waiting to be written beyond which new ones are dropped, and counted. */
  readonly bufferBound?: number;
}

export class AuditLogFile implements AuditBackend {
  private readonly world: World;
  private readonly options: AuditLogOptions;
  private readonly bound: number;
  private waiting: string[] = [];
  private writing: Promise<void> | undefined;
  private dropped = 0;
  private file: FileHandle | undefined;
  private size = 0;

  constructor(world: World, options: AuditLogOptions) {
    this.world = world;
    this.options = options;
    this.bound = options.bufferBound ?? 10_000;
  }

  write(line: string): void {
    if (this.waiting.length >= this.bound) {
      this.dropped++;
      return;
    }
    this.waiting.push(line);
    this.writing ??= this.drain().finally(() => {
      this.writing = undefined;
    });
  }

  async close(): Promise<void> {
    await this.writing;
    await this.file?.close();
    this.file = undefined;
  }

  private async drain(): Promise<void> {
    // What comes in this turn goes out together.
    await Promise.resolve();
    while (this.waiting.length > 0) {
      const lines = this.waiting;
      this.waiting = [];
      try {
        await this.append(lines);
      } catch (error) {
        this.world.log.error('audit events could not be written', { count: lines.length, error: String(error) });
      }
      if (this.dropped === 0) continue;
      this.world.log.error('audit events were dropped: they come faster than they can be written', { count: this.dropped });
      this.dropped = 0;
    }
  }

  private async append(lines: readonly string[]): Promise<void> {
    if (this.options.path === '-') {
      process.stdout.write(`${lines.join('\n')}\n`);
      return;
    }
    const { maxSizeBytes = 0 } = this.options;
    let part: string[] = [];
    let partBytes = 0;
    await this.opened();
    for (const line of lines) {
      const bytes = Buffer.byteLength(line) + 1;
      if (maxSizeBytes > 0 && this.size + partBytes > 0 && this.size + partBytes + bytes > maxSizeBytes) {
        await this.put(part, partBytes);
        await this.rotate();
        part = [];
        partBytes = 0;
      }
      part.push(line);
      partBytes += bytes;
    }
    await this.put(part, partBytes);
  }

  private async put(lines: readonly string[], bytes: number): Promise<void> {
    if (lines.length === 0) return;
    const file = await this.opened();
    await file.appendFile(`${lines.join('\n')}\n`);
    this.size += bytes;
  }

  private async opened(): Promise<FileHandle> {
    if (this.file === undefined) {
      this.file = await open(this.options.path, 'a', 0o600);
      this.size = (await this.file.stat()).size;
    }
    return this.file;
  }

  private async rotate(): Promise<void> {
    await this.file?.close();
    this.file = undefined;
    this.size = 0;
    const { path } = this.options;
    const { stem, extension } = partsOf(path);
    const time = new Date(this.world.clock.now()).toISOString().replaceAll(':', '-').replace('Z', '');
    let aside = join(dirname(path), `${stem}-${time}${extension}`);
    // More than one in a millisecond.
    for (let i = 1; await exists(aside); i++) aside = join(dirname(path), `${stem}-${time}-${i}${extension}`);
    await rename(path, aside);
    await this.removeOld();
  }

  private async removeOld(): Promise<void> {
    const { path, maxBackups = 0, maxAgeMs = 0 } = this.options;
    if (maxBackups === 0 && maxAgeMs === 0) return;
    const { stem, extension } = partsOf(path);
    const names = (await readdir(dirname(path))).filter((name) => name.startsWith(`${stem}-2`) && name.endsWith(extension));
    const newestFirst = names.toSorted().toReversed();
    for (const [index, name] of newestFirst.entries()) {
      const old = join(dirname(path), name);
      const tooMany = maxBackups > 0 && index >= maxBackups;
      const tooOld = maxAgeMs > 0 && (await stat(old)).mtimeMs < this.world.clock.now() - maxAgeMs;
      if (tooMany || tooOld) await unlink(old);
    }
  }
}

function partsOf(path: string): { stem: string; extension: string } {
  const extension = extname(path);
  return { stem: basename(path, extension), extension };
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
