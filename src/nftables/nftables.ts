/**
 * Hands scripts to nftables, each as one transaction: all of it holds, or nothing changed. Small ones go to an `nft` that stays (`session.ts`), for the
 * start of a process costs more than what it is started for, and its end waits for the kernel to clean up; large ones, and those that lay out whole
 * tables, to one of their own.
 */
import { spawn } from 'node:child_process';
import { NftError, NftSession } from './session.ts';

/** A session reads its input byte by byte. */
const largestForSession = 16 * 1024;
/** It remembers what it was told, to be able to show it again; so it is replaced now and then. */
const scriptsPerSession = 1_000;

export class Nftables {
  readonly #command: readonly string[];
  #session: NftSession | 'none' | undefined;
  #scripts = 0;
  #last: Promise<void> = Promise.resolve();

  /** `command`: what stands before nft's own arguments, such as `nsenter --net=… nft`. */
  constructor(command: readonly string[] = ['nft']) {
    this.#command = command;
  }

  /** Carries the script out when those before it are. Rejects with {@link NftError} carrying nft's own words. */
  apply(script: string): Promise<void> {
    const result = this.#last.then(() => this.#run(script));
    this.#last = result.catch(() => undefined);
    return result;
  }

  /** When the last script is through. */
  async close(): Promise<void> {
    await this.#last;
    if (this.#session instanceof NftSession) await this.#session.close();
    this.#session = undefined;
  }

  async #run(script: string): Promise<void> {
    const session = script.length <= largestForSession && !laysOutTables(script) ? await this.#openSession() : undefined;
    await (session ? session.run(script) : runOnce(this.#command, script));
  }

  /** Undefined where nft is built without an interactive mode. */
  async #openSession(): Promise<NftSession | undefined> {
    if (this.#session === 'none') return undefined;
    if (this.#session?.ended === false && this.#scripts++ < scriptsPerSession) return this.#session;
    await this.#session?.close();
    this.#scripts = 0;
    const session = new NftSession(this.#command);
    const works = await session.run('').then(
      () => true,
      () => false,
    );
    this.#session = works ? session : 'none';
    return works ? session : undefined;
  }
}

/** Such scripts have blocks over several lines, which a session takes for several commands; and they are few. */
function laysOutTables(script: string): boolean {
  return /^table /m.test(script);
}

/** A script by an nft of its own. */
export function runOnce(command: readonly string[], script: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const [program = 'nft', ...words] = command;
    const child = spawn(program, [...words, '-f', '-'], { stdio: ['pipe', 'ignore', 'pipe'] });
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr = (stderr + text).slice(0, 10_000)));
    child.on('error', (error) => reject(new NftError(`${program}: ${error.message}`)));
    child.on('close', (code) => {
      if (code === 0) resolve();
      else reject(new NftError(stderr.trim() || `nft ended with ${code}`));
    });
    child.stdin.on('error', () => undefined);
    child.stdin.end(script);
  });
}

/** No table, whatever was there. Named and then deleted, in one transaction: there is something to delete in either case. */
export function noTable(family: string, table: string): string {
  return `table ${family} ${table} {}\ndelete table ${family} ${table}\n`;
}

/** Takes a table off the host; what is not there is no error. */
export async function removeTable(family: string, table: string): Promise<void> {
  await runOnce(['nft'], noTable(family, table)).catch(() => undefined);
}
