/** Tests that go wrong leave the host as it was: here some go wrong on purpose. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { eventually } from './cluster-under-test.ts';
import { hostRemains } from './host-remains.ts';
import { start } from './stock-tools.ts';

interface Started {
  readonly id: string;
  readonly dataDir: string;
}

/** The cluster that was begun in `directory`, as soon as it has a name. */
function begunIn(directory: string): Promise<Started> {
  return eventually('a cluster begins', async () => {
    const [home] = readdirSync(directory).filter((name) => name.startsWith('k8ts-test-'));
    const dataDir = join(directory, home ?? '', 'data');
    const record = join(dataDir, 'cluster.json');
    return existsSync(record) ? { id: (JSON.parse(readFileSync(record, 'utf8')) as { id: string }).id, dataDir } : undefined;
  });
}

async function nothingIsLeft({ id, dataDir }: Started): Promise<void> {
  const home = dirname(dataDir);
  await eventually(
    'nothing is left',
    async () => {
      const remains = [...(await hostRemains(id, dataDir)), ...(existsSync(home) ? [home] : [])];
      if (remains.length > 0) throw new Error(remains.join('\n'));
      return true;
    },
    60_000,
  );
}

describe('a test of a cluster with nodes', { skip: process.getuid?.() === 0 ? false : 'needs root' }, () => {
  const ends: readonly { readonly how: string; readonly kill: boolean }[] = [
    { how: 'whose set-up throws, and whose tidying up as well', kill: false },
    { how: 'that is killed while the cluster starts', kill: true },
  ];
  for (const { how, kill } of ends) {
    test(`${how}, leaves nothing`, async () => {
      const directory = mkdtempSync(join(tmpdir(), 'k8ts-failing-'));
      try {
        const failing = start('env', ['-u', 'NODE_TEST_CONTEXT', process.execPath, join(import.meta.dirname, 'failing-set-up.ts')], {
          env: { TMPDIR: directory },
          timeoutMs: 120_000,
        });
        const ended = once(failing, 'exit') as Promise<[number | null]>;
        const begun = await begunIn(directory);
        if (kill) failing.kill('SIGKILL');
        assert.notEqual((await ended)[0], 0);
        await nothingIsLeft(begun);
      } finally {
        rmSync(directory, { recursive: true, force: true });
      }
    });
  }
});

test('a will that was withdrawn is not carried out', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'k8ts-will-'));
  try {
    const program = `import { lastWill } from '${join(import.meta.dirname, 'last-will.ts')}';
       lastWill('echo done >>"$1"', '${join(directory, 'first')}').withdraw();
       lastWill('echo done >>"$1"', '${join(directory, 'second')}');`;
    const child = start(process.execPath, ['--input-type=module-typescript', '-e', program]);
    await once(child, 'exit');
    await eventually('the second is carried out', async () => (existsSync(join(directory, 'second')) ? true : undefined));
    assert.equal(existsSync(join(directory, 'first')), false);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
