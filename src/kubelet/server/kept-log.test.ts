import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { readKeptLog } from './kept-log.ts';
import { logOptionsOf } from './log-options.ts';

const line = (text: string): string => `2026-01-01T10:00:00.000000000Z stdout F ${text}\n`;
const log = line('one') + line('two') + line('three');

/** A container that writes and ends when told to. */
class Talker {
  written = log;
  running = true;
  readonly #listeners = new Set<() => void>();

  read(query: string, signal = new AbortController().signal): AsyncGenerator<Buffer> {
    return readKeptLog({
      read: async () => this.written,
      options: logOptionsOf(new URLSearchParams(query), Date.parse('2026-01-01T10:00:03Z')),
      container: {
        isRunning: async () => this.running,
        onChange: (callback) => {
          this.#listeners.add(callback);
          return () => this.#listeners.delete(callback);
        },
      },
      signal,
    });
  }

  get listeners(): number {
    return this.#listeners.size;
  }

  say(text: string): void {
    this.written += line(text);
    this.#tell();
  }

  end(): void {
    this.running = false;
    this.#tell();
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }
}

async function all(pieces: AsyncGenerator<Buffer>): Promise<string> {
  let text = '';
  for await (const piece of pieces) text += piece.toString();
  return text;
}

describe('a log that the runtime keeps', () => {
  const cases: readonly [query: string, output: string][] = [
    ['', 'one\ntwo\nthree\n'],
    ['tailLines=0', ''],
    ['tailLines=1', 'three\n'],
    ['tailLines=2', 'two\nthree\n'],
    ['tailLines=3', 'one\ntwo\nthree\n'],
    ['tailLines=4', 'one\ntwo\nthree\n'],
    ['limitBytes=6', 'one\ntw'],
    ['sinceSeconds=1', ''],
    ['tailLines=1&timestamps=true', '2026-01-01T10:00:00.000000000Z three\n'],
  ];
  for (const [query, output] of cases) {
    test(`${query || 'everything'} gives ${JSON.stringify(output)}`, async () => assert.equal(await all(new Talker().read(query)), output));
  }

  test('is followed until the container ends', async () => {
    const talker = new Talker();
    const pieces = talker.read('follow=true&tailLines=1');
    assert.equal(String((await pieces.next()).value), 'three\n');
    const next = pieces.next();
    talker.say('four');
    assert.equal(String((await next).value), 'four\n');
    const last = pieces.next();
    talker.end();
    assert.equal((await last).done, true);
    assert.equal(talker.listeners, 0);
  });

  test('is followed until nobody reads on', async () => {
    const talker = new Talker();
    const gone = new AbortController();
    const pieces = talker.read('follow=true', gone.signal);
    await pieces.next();
    const next = pieces.next();
    gone.abort();
    assert.equal((await next).done, true);
    assert.equal(talker.listeners, 0);
  });
});
