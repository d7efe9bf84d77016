import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Nftables } from './nftables.ts';

/** Stands in for nft: notes what each of its processes is told, and complains as nft does. */
const pretender = `
const { appendFileSync, readFileSync } = require('node:fs');
const note = (text) => appendFileSync(process.env.NOTES, JSON.stringify(text) + '\\n');
const complain = (line) => process.stderr.write('Error: syntax error, unexpected string\\n' + line + '\\n^^^^\\n');
if (process.argv.includes('-i')) {
  if (process.env.NO_CLI === 'yes') { process.stderr.write('Error: interactive CLI not supported in this build\\n'); process.exit(1); }
  note('session');
  require('node:readline').createInterface(process.stdin).on('line', (line) => {
    if (line === 'die') process.exit(3);
    if (/^through-/.test(line) || line.includes('nonsense')) complain(line);
    if (!/^through-/.test(line)) note(line);
  });
} else {
  const script = readFileSync(0, 'utf8');
  note({ once: script });
  if (script.includes('nonsense')) { complain(script); process.exitCode = 1; }
}`;

let directory: string;
let round = 0;

before(() => {
  directory = mkdtempSync(join(tmpdir(), 'k8ts-nft-'));
  writeFileSync(join(directory, 'nft.cjs'), pretender);
  writeFileSync(join(directory, 'nft'), `#!/bin/sh\nexec ${process.execPath} ${directory}/nft.cjs "$@"\n`);
  chmodSync(join(directory, 'nft'), 0o755);
});

after(() => rmSync(directory, { recursive: true }));

async function withNft(check: (nft: Nftables, told: () => unknown[]) => Promise<void>, ...settings: string[]): Promise<void> {
  const notes = join(directory, `notes-${round++}`);
  writeFileSync(notes, '');
  const nft = new Nftables(['env', `NOTES=${notes}`, ...settings, join(directory, 'nft')]);
  const told = (): unknown[] =>
    readFileSync(notes, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as unknown);
  try {
    await check(nft, told);
  } finally {
    await nft.close();
  }
}

test('small scripts go to one process, a line each; whole tables and large ones to their own', () =>
  withNft(async (nft, told) => {
    const table = 'table ip t {\n}\n';
    const large = 'add element ip t m { 1 }\n'.repeat(1_000);
    await Promise.all([nft.apply('add chain ip t a\nadd chain ip t b\n'), nft.apply(table), nft.apply('add chain ip t c\n'), nft.apply(large)]);
    assert.deepEqual(told(), ['session', 'add chain ip t a;add chain ip t b', { once: table }, 'add chain ip t c', { once: large }]);
  }));

test('what nft refuses is rejected in its words, and the next script is not to blame', () =>
  withNft(async (nft) => {
    await nft.apply('add chain ip t a');
    await assert.rejects(nft.apply('nonsense'), { name: 'NftError', message: /unexpected string\nnonsense/ });
    await nft.apply('add chain ip t b');
    await assert.rejects(nft.apply('table ip t {\nnonsense\n}'), /unexpected string/);
  }));

test('a process that dies takes the script under way with it, and another takes the next', () =>
  withNft(async (nft, told) => {
    await nft.apply('add chain ip t a');
    await assert.rejects(nft.apply('die'), /nft ended with 3/);
    await nft.apply('add chain ip t b');
    assert.deepEqual(told(), ['session', 'add chain ip t a', 'session', 'add chain ip t b']);
  }));

test('an nft without interactive mode is started for each script', () =>
  withNft(async (nft, told) => {
    await nft.apply('add chain ip t a');
    await assert.rejects(nft.apply('nonsense'), /unexpected string/);
    assert.deepEqual(told(), [{ once: 'add chain ip t a' }, { once: 'nonsense' }]);
  }, 'NO_CLI=yes'));

test('without nft a script is rejected', async () => {
  const nft = new Nftables([join(directory, 'missing')]);
  await assert.rejects(nft.apply('add chain ip t a'), /ENOENT/);
  await nft.close();
});
