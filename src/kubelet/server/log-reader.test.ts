import assert from 'node:assert/strict';
import { appendFile, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { realWorld } from '../../world/real.ts';
import { parseLogLine } from './log-line.ts';
import { type LogOptions, logOptionsOf } from './log-options.ts';
import { HttpError } from './responses.ts';
import { readLog } from './log-reader.ts';

const world = realWorld({ level: 'silent' });

const log = [
  '2026-01-01T10:00:00.000000001Z stdout F one',
  '2026-01-01T10:00:01.000000000Z stderr F two',
  '2026-01-01T10:00:02.000000000Z stdout P thr',
  '2026-01-01T10:00:02.000000000Z stdout F ee',
  '2026-01-01T10:00:03.123456789Z stdout F four with  blanks',
  '',
].join('\n');

describe('a log line', () => {
  test('is taken apart', () => {
    const line = parseLogLine(Buffer.from('2026-01-01T10:00:00.5Z stderr P:x some  text'));
    assert.deepEqual(line && { ...line, content: line.content.toString() }, {
      timestamp: '2026-01-01T10:00:00.5Z',
      stream: 'stderr',
      partial: true,
      content: 'some  text',
    });
  });

  for (const text of ['', 'nonsense', '2026-01-01T10:00:00Z stdlog F x', '2026-01-01T10:00:00Z stdout F']) {
    test(`${JSON.stringify(text)} is none`, () => assert.equal(parseLogLine(Buffer.from(text)), undefined));
  }
});

describe('what is asked for', () => {
  const now = Date.parse('2026-01-01T10:00:03Z');
  const cases: readonly [query: string, output: string][] = [
    ['', 'one\ntwo\nthree\nfour with  blanks\n'],
    ['tailLines=1', 'four with  blanks\n'],
    ['tailLines=0', ''],
    ['tailLines=100', 'one\ntwo\nthree\nfour with  blanks\n'],
    ['sinceSeconds=1', 'three\nfour with  blanks\n'],
    ['sinceTime=2026-01-01T11:00:03%2B01:00', 'four with  blanks\n'],
    ['limitBytes=6', 'one\ntw'],
    ['stream=Stderr', 'two\n'],
    ['timestamps=true&sinceSeconds=1', '2026-01-01T10:00:02.000000000Z three\n2026-01-01T10:00:03.123456789Z four with  blanks\n'],
  ];
  for (const [query, output] of cases) {
    test(`${query || 'everything'} gives ${JSON.stringify(output)}`, async (t) => {
      const path = await logFile(t, log);
      assert.equal(await read(path, logOptionsOf(new URLSearchParams(query), now)), output);
    });
  }

  for (const query of [
    'tailLines=-1',
    'tailLines=x',
    'limitBytes=0',
    'sinceSeconds=0',
    'sinceTime=yesterday',
    'sinceSeconds=1&sinceTime=2026-01-01T10:00:00Z',
  ]) {
    test(`${query} is refused`, () => assert.throws(() => logOptionsOf(new URLSearchParams(query), now), HttpError));
  }

  test('a last line that is not whole yet counts for nothing', async (t) => {
    const path = await logFile(t, `${log}2026-01-01T10:00:04.000000000Z stdout F fi`);
    const lastOf = (tailLines: number): Promise<string> => read(path, logOptionsOf(new URLSearchParams({ tailLines: String(tailLines) }), now));
    assert.equal(await lastOf(1), 'four with  blanks\n');
    assert.equal(await lastOf(2), 'ee\nfour with  blanks\n');
  });

  test('the last lines of a file larger than what is read at once are found', async (t) => {
    const lines = Array.from({ length: 20_000 }, (_, index) => `2026-01-01T10:00:00Z stdout F line ${index}\n`);
    const path = await logFile(t, lines.join(''));
    const options = logOptionsOf(new URLSearchParams('tailLines=5000'), now);
    const output = await read(path, options);
    assert.equal(output.split('\n').length - 1, 5000);
    assert.ok(output.startsWith('line 15000\n'));
    assert.ok(output.endsWith('line 19999\n'));
  });
});

describe('following', () => {
  const follow = logOptionsOf(new URLSearchParams('follow=true'), 0);

  test('goes on until the container ends, across a rotation', async (t) => {
    const path = await logFile(t, line('first'));
    const container = new FakeContainer();
    const output = readLog({ path, options: follow, container, world, signal: AbortSignal.timeout(20_000) });
    assert.equal(await next(output), 'first\n');
    await appendFile(path, line('second'));
    assert.equal(await next(output), 'second\n');
    await rename(path, `${path}.1`);
    await appendFile(`${path}.1`, line('late'));
    await writeFile(path, line('new file'));
    assert.equal(`${await next(output)}${await next(output)}`, 'late\nnew file\n');
    await appendFile(path, line('last'));
    container.end();
    assert.equal(await rest(output), 'last\n');
  });

  test('misses nothing of a log that was put aside several times before it looked again', async (t) => {
    const path = await logFile(t, line('first'));
    const container = new FakeContainer();
    const output = readLog({ path, options: follow, container, world, signal: AbortSignal.timeout(20_000) });
    assert.equal(await next(output), 'first\n');
    await rename(path, `${path}.20260101-100000`);
    await writeFile(path, line('second'));
    await rename(path, `${path}.20260101-100000.500`);
    await writeFile(path, line('third'));
    await rename(path, `${path}.20260101-100001`);
    await writeFile(path, line('fourth'));
    container.end();
    assert.equal(await rest(output), 'second\nthird\nfourth\n');
  });

  test('goes on with the oldest that is left when the one it was at is gone', async (t) => {
    const path = await logFile(t, line('first'));
    const container = new FakeContainer();
    const output = readLog({ path, options: follow, container, world, signal: AbortSignal.timeout(20_000) });
    assert.equal(await next(output), 'first\n');
    await rm(path);
    await writeFile(`${path}.20260101-100001`, line('third'));
    await writeFile(path, line('fourth'));
    container.end();
    assert.equal(await rest(output), 'third\nfourth\n');
  });

  test('stays with the old file until something stands in the new one', async (t) => {
    const path = await logFile(t, line('first'));
    const container = new FakeContainer();
    const output = readLog({ path, options: follow, container, world, signal: AbortSignal.timeout(20_000) });
    assert.equal(await next(output), 'first\n');
    await rename(path, `${path}.20260101-100000`);
    await writeFile(path, '');
    const late = next(output);
    await appendFile(`${path}.20260101-100000`, line('late'));
    await appendFile(path, line('new file'));
    container.end();
    assert.equal(`${await late}${await rest(output)}`, 'late\nnew file\n');
  });

  test('stops when the reader goes', async (t) => {
    const path = await logFile(t, line('first'));
    const gone = new AbortController();
    const output = readLog({ path, options: follow, container: new FakeContainer(), world, signal: gone.signal });
    assert.equal(await next(output), 'first\n');
    gone.abort();
    assert.equal(await rest(output), '');
  });
});

class FakeContainer {
  #running = true;
  readonly #listeners = new Set<() => void>();

  isRunning(): Promise<boolean> {
    return Promise.resolve(this.#running);
  }

  onChange(callback: () => void): () => void {
    this.#listeners.add(callback);
    return () => this.#listeners.delete(callback);
  }

  end(): void {
    this.#running = false;
    for (const callback of this.#listeners) callback();
  }
}

function line(content: string): string {
  return `2026-01-01T10:00:00Z stdout F ${content}\n`;
}

async function logFile(t: TestContext, content: string): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'k8ts-log-'));
  t.after(() => rm(directory, { recursive: true }));
  const path = join(directory, 'main.log');
  await writeFile(path, content);
  return path;
}

function read(path: string, options: LogOptions): Promise<string> {
  return rest(readLog({ path, options, container: new FakeContainer(), world, signal: AbortSignal.timeout(20_000) }));
}

async function next(output: AsyncGenerator<Buffer>): Promise<string> {
  const { value, done } = await output.next();
  return done === true ? '' : value.toString();
}

async function rest(output: AsyncGenerator<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of output) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}
