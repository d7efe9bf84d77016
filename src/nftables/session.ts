/**
 * An `nft -i` that stays and takes one script after the other: a line of input is a transaction. Nothing says when one is through, and what nft prints
 * waits in a buffer; only complaints come at once. So each script is followed by a word that is no command, and nft's complaint about that is the answer.
 */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';

export class NftError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'NftError';
  }
}

export class NftSession {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #closed: Promise<void>;
  #said = '';
  #heard = (): void => {};
  #asked = 0;
  #end: string | undefined;

  constructor(command: readonly string[]) {
    const [program = 'nft', ...words] = command;
    // It keeps a history of its input in HOME.
    const child = spawn(program, [...words, '-i'], { stdio: 'pipe', env: { ...process.env, HOME: '/dev/null' } });
    this.#child = child;
    child.stdout.resume();
    child.stdin.on('error', () => undefined);
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#said += text;
      this.#heard();
    });
    this.#closed = new Promise((resolve) => {
      const end = (why: string): void => {
        this.#end ??= why;
        this.#heard();
        resolve();
      };
      child.on('error', (error) => end(`${program}: ${error.message}`));
      child.on('close', (code) => end(`nft ended with ${code}`));
    });
  }

  get ended(): boolean {
    return this.#end !== undefined;
  }

  /**
   * Carries out commands, one a line, as one transaction; one script at a time. Rejects with {@link NftError} when nft refuses them, and when it ends:
   * then nobody knows whether they hold.
   */
  async run(script: string): Promise<void> {
    const mark = `through-${this.#asked++}`;
    const line = script.trim().replaceAll('\n', ';');
    this.#child.stdin.write(line === '' ? `${mark}\n` : `${line}\n${mark}\n`);
    const complaints = await this.#until(mark);
    // Before the first may stand the rest of what was said about the last mark.
    const first = complaints.indexOf('Error:');
    if (first >= 0) throw new NftError(complaints.slice(first).trim());
  }

  async close(): Promise<void> {
    this.#child.stdin.end();
    await this.#closed;
  }

  /** What is said before the complaint about the mark. */
  async #until(mark: string): Promise<string> {
    for (;;) {
      const at = this.#said.search(new RegExp(`^${mark}$`, 'm'));
      if (at >= 0) {
        const complaints = this.#said.slice(0, this.#said.lastIndexOf('Error:', at));
        this.#said = this.#said.slice(at + mark.length);
        return complaints;
      }
      if (this.#end !== undefined) throw new NftError(`${this.#said.trim()} ${this.#end}`.trim());
      await new Promise<void>((resolve) => (this.#heard = resolve));
    }
  }
}
