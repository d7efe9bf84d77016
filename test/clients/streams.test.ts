/**
 * What stock kubectl streams through the API server and a kubelet, by SPDY (v1.20) and by WebSockets (v1.36): files of some size both ways, many commands at a
 * time, terminals that change their size, readers that do not read, clients that go without a word, containers that end while somebody is attached.
 */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream, createWriteStream, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { after, before, describe, test } from 'node:test';
import { Pod } from '../../src/api/kinds.ts';
import { isRunning, type RealPods, shell, startRealPods } from '../conformance/real-pods.ts';
import { eventually } from '../support/cluster-under-test.ts';
import { debianKubectl } from '../support/debian-packages.ts';
import { type Outcome, run, start } from '../support/stock-tools.ts';

const mebi = 2 ** 20;
const fileBytes = 200 * mebi;
const flowBytes = 120 * mebi;
const patienceMs = 120_000;
const files = mkdtempSync(join(tmpdir(), 'k8ts-streams-'));
let pods: RealPods;

before(async () => {
  pods = await startRealPods();
  const hello = { name: 'hello', image: 'k8ts.local/hello:1' };
  await pods.create('shell', { containers: [shell('exec cat', { stdin: true }), hello] });
  await pods.until('shell', 'runs', isRunning);
});
after(async () => {
  rmSync(files, { recursive: true });
  await pods.close();
});

/** Bytes that no compression and no repetition could hide a loss in. */
function* noise(bytes: number): Generator<Buffer> {
  let block = createHash('sha512').update(String(bytes)).digest();
  for (let sent = 0; sent < bytes; sent += mebi) {
    const chunk = Buffer.alloc(mebi);
    for (let at = 0; at < mebi; at += 4096) {
      block = createHash('sha512').update(block).digest();
      chunk.fill(block, at, at + 4096);
    }
    yield chunk;
  }
}

async function digestOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

function nodeAgent(): string {
  const { pid } = JSON.parse(readFileSync(join(pods.cluster.dataDir, 'run/node-agent.json'), 'utf8')) as { pid: number };
  return join('/proc', String(pid));
}

const connectionsOf = (process: string): number => readdirSync(join(process, 'fd')).length;

/** The process on this host that was started with these words. */
function processOf(words: string): string | undefined {
  const wanted = `${words.replaceAll(' ', '\0')}\0`;
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => join('/proc', name))
    .find((path) => {
      try {
        return readFileSync(join(path, 'cmdline'), 'utf8') === wanted;
      } catch {
        // Ended meanwhile.
        return false;
      }
    });
}

for (const [version, release] of [
  ['v1.20', 'bookworm'],
  ['v1.36', 'sid'],
] as const) {
  describe(`kubectl ${version}`, () => {
    let program: string;
    before(async () => {
      program = await debianKubectl(release);
    });

    const kubectl = (words: readonly string[], input?: string): Promise<Outcome> =>
      run(program, words, { env: pods.cluster.env, timeoutMs: patienceMs, ...(input !== undefined && { input }) });
    const inShell = (script: string, flags: readonly string[] = [], input?: string): Promise<Outcome> =>
      kubectl(['exec', ...flags, 'shell', '-c', 'main', '--', 'sh', '-c', script], input);
    const begin = (words: readonly string[]): ChildProcess => start(program, words, { env: pods.cluster.env, timeoutMs: patienceMs });

    test('copies 200 MB there and back, and not a bit is lost', async () => {
      const [there, back] = [join(files, `there-${version}`), join(files, `back-${version}`)];
      await pipeline(Readable.from(noise(fileBytes)), createWriteStream(there));
      const digest = await digestOf(there);
      const up = await kubectl(['cp', there, 'shell:/tmp/file', '-c', 'main']);
      assert.equal(up.code, 0, up.stderr);
      assert.equal((await inShell('sha256sum < /tmp/file')).stdout.split(' ')[0], digest);
      const down = await kubectl(['cp', 'shell:/tmp/file', back, '-c', 'main']);
      assert.equal(down.code, 0, down.stderr);
      assert.equal(await digestOf(back), digest);
      await inShell('rm /tmp/file');
      rmSync(there);
      rmSync(back);
    });

    test('runs twenty commands at a time, each with its own input, output, complaint and exit code', async () => {
      const outcomes = await Promise.all(
        Array.from({ length: 20 }, async (_, index) => inShell(`cat; echo complaint ${index} >&2; exit ${index}`, ['-i'], `input ${index}`)),
      );
      for (const [index, { code, stdout, stderr }] of outcomes.entries()) {
        assert.deepEqual([code, stdout], [index, `input ${index}`]);
        assert.match(stderr, new RegExp(`complaint ${index}\n`));
      }
    });

    test('has a terminal of the size of its own, which follows it', async () => {
      const untilSize = (size: string): string => `while ! stty size 2>/dev/null | grep "${size}"; do usleep 10000; done`;
      const inside = `${untilSize('33 91')}; ${untilSize('40 80')}; exit 4`;
      const line = `stty rows 33 cols 91; (sleep 2; stty rows 40 cols 80 < /dev/tty) & exec ${program} exec -it shell -c main -- sh -c '${inside}'`;
      const terminal = await run('script', ['-qec', line, '/dev/null'], { env: pods.cluster.env, timeoutMs: patienceMs });
      assert.equal(terminal.code, 4, terminal.stdout);
      assert.match(terminal.stdout, /33 91\r\n.*40 80\r\n/s);
    });

    test('may read as slowly as it likes: the command waits, nothing piles up on the way, nothing is lost', async () => {
      // One byte more for each version tells its process from others.
      const bytes = flowBytes + Number(version.slice(3));
      const reader = begin(['exec', 'shell', '-c', 'main', '--', 'head', '-c', String(bytes), '/dev/zero']);
      assert(reader.stdout);
      const written = async (): Promise<number> => {
        const found = processOf(`head -c ${bytes} /dev/zero`);
        return found === undefined ? 0 : Number(/^wchar: (\d+)/m.exec(readFileSync(join(found, 'io'), 'utf8'))?.[1]);
      };
      let before = 0;
      const heldUpAt = await eventually('the command is held up', async () => {
        const now = await written();
        const isHeldUp = now > 0 && now === before;
        before = now;
        await new Promise((resolve) => setTimeout(resolve, 400));
        return isHeldUp ? now : undefined;
      });
      assert.ok(heldUpAt < 60 * mebi, `${heldUpAt} bytes are on their way to somebody who reads none`);
      let received = 0;
      for await (const chunk of reader.stdout) received += (chunk as Buffer).length;
      assert.equal(received, bytes);
    });

    test('may go without a word: nothing of it stays open', async () => {
      const agent = nodeAgent();
      const before = connectionsOf(agent);
      const clients = [
        begin(['exec', '-i', 'shell', '-c', 'main', '--', 'sh', '-c', 'echo begun; exec cat']),
        begin(['attach', '-i', 'shell', '-c', 'main']),
        begin(['logs', '-f', 'shell', '-c', 'hello']),
        begin(['port-forward', 'pod/shell', ':8080']),
      ];
      await eventually('all four are connected', async () => (connectionsOf(agent) >= before + 3 ? true : undefined));
      for (const client of clients) {
        client.kill('SIGKILL');
        client.stdout?.destroy();
        client.stderr?.destroy();
      }
      await eventually('all is closed', async () => (connectionsOf(agent) <= before + 1 ? true : undefined));
    });

    test('is told the rest, and let go, when the container ends while it is attached', async () => {
      const name = `ends-${version.replace('.', '-')}`;
      await pods.create(name, {
        restartPolicy: 'Never',
        containers: [shell('read line; echo "heard $line"; exit 5', { stdin: true, stdinOnce: true })],
      });
      await pods.until(name, 'runs', isRunning);
      const { stdout } = await kubectl(['attach', '-i', name], 'words\n');
      assert.equal(stdout, 'heard words\n');
      const { status } = await pods.until(name, 'has ended', ({ status: { phase } }) => phase === 'Failed');
      assert.equal(status.containerStatuses?.[0]?.state?.terminated?.exitCode, 5);
    });

    test('is told when there is no container that runs, in words it can show', async () => {
      const name = `over-${version.replace('.', '-')}`;
      await pods.create(name, { restartPolicy: 'Never', containers: [shell('exit 0'), shell('exec sleep 1000', { name: 'other' })] });
      await pods.until(name, 'has ended in part', ({ status }) => status.containerStatuses?.some(({ state }) => state?.terminated) === true);
      for (const words of [
        ['exec', name, '-c', 'main', '--', 'true'],
        ['attach', name, '-c', 'main'],
      ]) {
        const { code, stderr } = await kubectl(words);
        assert.deepEqual([code, /unable to upgrade connection: container not found \("main"\)/.test(stderr)], [1, true], stderr);
      }
      await pods.of(Pod).delete(name);
    });

    test('forwards a port to thirty callers at a time', async () => {
      const forwarder = begin(['port-forward', 'pod/shell', ':8080']);
      try {
        assert(forwarder.stdout);
        const [line] = (await once(forwarder.stdout, 'data')) as [Buffer];
        const port = /127\.0\.0\.1:(\d+)/.exec(line.toString())?.[1];
        forwarder.stdout.resume();
        const answers = await Promise.all(Array.from({ length: 30 }, async () => (await fetch(`http://127.0.0.1:${port}/healthz`)).status));
        assert.deepEqual(new Set(answers), new Set([200]));
      } finally {
        forwarder.kill();
      }
    });
  });
}

describe('a log that is put aside while it is followed', () => {
  test('loses no line', async () => {
    const lines = 400_000;
    const count = `i=0; while [ $i -lt 10 ]; do seq $((i * ${lines / 10})) $((i * ${lines / 10} + ${lines / 10 - 1})) | sed "s/$/ $pad/"; i=$((i + 1)); sleep 0.3; done`;
    await pods.create('counts', { restartPolicy: 'Never', containers: [shell(`pad=$(head -c 100 /dev/zero | tr "\\0" x); sleep 2; ${count}`)] });
    await pods.until('counts', 'runs', isRunning);
    const { metadata } = await pods.until('counts', 'runs', isRunning);
    const follower = start(await debianKubectl('sid'), ['logs', '-f', 'counts'], { env: pods.cluster.env, timeoutMs: patienceMs });
    assert(follower.stdout);
    let [text, next] = ['', 0];
    for await (const chunk of follower.stdout.setEncoding('utf8')) {
      const parts = `${text}${String(chunk)}`.split('\n');
      text = parts.pop() ?? '';
      for (const line of parts) assert.equal(Number.parseInt(line, 10), next++);
    }
    assert.equal(next, lines);
    const aside = readdirSync(join(pods.cluster.dataDir, 'pod-logs', `default_counts_${metadata.uid}`, 'main'));
    assert.ok(aside.length > 1, `it was never put aside: ${aside.join()}`);
  });
});
