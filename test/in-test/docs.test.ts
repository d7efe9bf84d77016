/** docs/testing.md, as somebody who reads it would follow it: the package as published, every code block in a file of its own, run by the runner it is for. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { projectRoot, run, type RunOptions } from '../support/stock-tools.ts';

const folder = mkdtempSync(join(tmpdir(), 'k8ts-testing-docs-'));
const runners = ['vitest@4.1.12', 'jest@30.5.2'];

interface Block {
  readonly file: string;
  readonly text: string;
}

const document = readFileSync(join(projectRoot, 'docs/testing.md'), 'utf8');
const blocks: readonly Block[] = [...document.matchAll(/^```(?:ts|js) file=(\S+)\n([\s\S]*?)^```$/gm)].map(([, file = '', text = '']) => ({
  file,
  text,
}));

async function must(program: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const outcome = await run(program, args, { timeoutMs: 240_000, cwd: folder, ...options });
  assert.equal(outcome.code, 0, `${program} ${args.join(' ')}\n${outcome.stdout}${outcome.stderr}`);
  return outcome.stdout;
}

before(async () => {
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }\n');
  await must('npm', ['install', '--silent', '--no-audit', '--no-fund', '--ignore-scripts', '--prefer-offline', ...runners]);
  const printed = await must('npm', ['pack', '--silent', '--pack-destination', folder], { cwd: projectRoot });
  await must('tar', ['-xzf', printed.trim().split('\n').at(-1) ?? '']);
  await must('mv', ['package', 'node_modules/k8ts']);
  mkdirSync(join(folder, 'node_modules/@kubernetes'));
  symlinkSync(join(projectRoot, 'node_modules/@kubernetes/client-node'), join(folder, 'node_modules/@kubernetes/client-node'));
  for (const { file, text } of blocks) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), text);
  }
});

after(() => rmSync(folder, { recursive: true, force: true }));

describe('docs/testing.md', () => {
  test('every block of code is one that is run here', () => {
    const fences = [...document.matchAll(/^```(\w+)(.*)$/gm)].filter(([, language]) => language !== 'sh');
    assert.equal(fences.length, blocks.length);
    assert.deepEqual(
      blocks.filter(({ file }) => !/\.test\.(ts|js)$/.test(file)).map(({ file }) => file),
      ['quota-controller.js'],
    );
  });

  test('its TypeScript fits the published types', async () => {
    const typescript = blocks.map(({ file }) => file).filter((file) => file.endsWith('.ts'));
    const options = ['--noEmit', '--strict', '--noUncheckedIndexedAccess', '--module', 'nodenext', '--target', 'esnext', '--types', 'node'];
    const typeRoots = ['--typeRoots', join(projectRoot, 'node_modules/@types')];
    await must(join(projectRoot, 'node_modules/.bin/tsc'), [...options, ...typeRoots, ...typescript]);
  });

  for (const { file } of blocks.filter(({ file: name }) => /^[^/]+\.test\.(ts|js)$/.test(name))) {
    // A test process that something keeps alive would not end before its time is up.
    test(`node --test ${file}`, async () => {
      // Without the mark that it is inside of another test run, which would have it do nothing.
      const said = await must('env', ['-u', 'NODE_TEST_CONTEXT', process.execPath, '--test', '--test-reporter=tap', file], { timeoutMs: 60_000 });
      assert.match(said, /^# pass [1-9]/m);
    });
  }

  test('vitest', async () => {
    assert.match(await must(process.execPath, ['node_modules/vitest/vitest.mjs', 'run', 'vitest']), /1 passed/);
  });

  test('jest', async () => {
    const outcome = await run(process.execPath, ['--experimental-vm-modules', 'node_modules/jest/bin/jest.js', 'jest/'], {
      cwd: folder,
      timeoutMs: 60_000,
    });
    assert.equal(outcome.code, 0, outcome.stdout + outcome.stderr);
    assert.match(outcome.stderr, /1 passed/);
    assert.doesNotMatch(outcome.stderr, /did not exit/);
  });
});
