/** For tests: a response whose client takes one write at a time, when it is told to. */
import { EventEmitter } from 'node:events';
import type { HttpResponse } from './connection.ts';

export interface SlowResponse extends HttpResponse {
  /** Whether there was a write to take. */
  takeOne(): boolean;
  received(): string;
  /** How many writes there were. */
  writes(): number;
}

interface Write {
  readonly chunk: string | Uint8Array;
  readonly done: ((error: Error | null | undefined) => void) | undefined;
}

export function slowResponse(): SlowResponse {
  return new Slow();
}

class Slow extends EventEmitter implements SlowResponse {
  headersSent = true;
  statusCode = 200;
  writableEnded = false;
  private readonly waiting: Write[] = [];
  private readonly taken: string[] = [];
  private count = 0;

  get writableLength(): number {
    return this.waiting.reduce((sum, { chunk }) => sum + chunk.length, 0);
  }

  write(chunk: string | Uint8Array, done?: (error: Error | null | undefined) => void): boolean {
    this.count++;
    this.waiting.push({ chunk, done });
    return false;
  }

  takeOne(): boolean {
    const write = this.waiting.shift();
    if (write === undefined) return false;
    // Not before: what was written may not change until it is taken.
    this.taken.push(Buffer.from(write.chunk).toString('latin1'));
    write.done?.(undefined);
    if (this.waiting.length === 0) this.emit('drain');
    return true;
  }

  received(): string {
    return this.taken.join('');
  }

  writes(): number {
    return this.count;
  }

  end(): void {
    this.writableEnded = true;
  }

  writeHead(): void {}
  cork(): void {}
  uncork(): void {}
  destroy(): void {}
}
