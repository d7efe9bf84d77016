/** The published package, as `npm pack` makes it: installed into an empty folder it is a whole k8ts. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { downWithAllIn } from './support/last-will.ts';
import { type Outcome, projectRoot, run, type RunOptions, stockTools } from './support/stock-tools.ts';

const home = mkdtempSync(join(tmpdir(), 'k8ts-package-'));
const will = downWithAllIn(home);
const folder = join(home, 'empty');
const dataDir = join(home, 'data');
const port = 6480 + (process.pid % 10);
/** npm's own cache stays the machine's: what was fetched once need not be again. */
const env = { HOME: home, KUBECONFIG: join(home, 'kubeconfig') };
let archive = '';

async function must(program: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const outcome = await run(program, args, { timeoutMs: 120_000, ...options });
  assert.equal(outcome.code, 0, `${program} ${args.join(' ')}\n${outcome.stdout}${outcome.stderr}`);
  return outcome.stdout;
}

const k8ts = (...args: string[]): Promise<Outcome> => run('npx', ['--no-install', 'k8ts', ...args], { env, cwd: folder, timeoutMs: 120_000 });

before(async () => {
  mkdirSync(folder);
  // --silent: the file's name alone is printed; the build before it speaks too.
  const printed = await must('npm', ['pack', '--silent', '--pack-destination', home], { cwd: projectRoot });
  archive = join(home, printed.trim().split('\n').at(-1) ?? '');
});

after(async () => {
  await k8ts('down', '--purge', '--data-dir', dataDir);
  rmSync(home, { recursive: true, force: true });
  will.withdraw();
});

test('it holds the program, its licence and what to read, and no sources or tests', async () => {
  const files = (await must('tar', ['-tzf', archive])).trim().split('\n');
  const strangers = files.filter(
    (file) =>
      !/^package\/(k8ts|package\.json|README\.md|LICENSE|dist\/[\w-]+\.(js|json|txt)|dist\/supervise\.sh|dist\/types\/[\w./-]+\.d\.ts)$/.test(file),
  );
  assert.deepEqual(strangers, []);
  for (const wanted of ['k8ts', 'README.md', 'LICENSE', 'dist/k8ts.js', 'dist/third-party-licences.txt', 'dist/index.js', 'dist/types/index.d.ts']) {
    assert.ok(files.includes(`package/${wanted}`), `${wanted} is missing`);
  }
});

test('installed into an empty folder it starts a cluster', async () => {
  writeFileSync(join(folder, 'package.json'), '{}\n');
  const cache = (await must('npm', ['config', 'get', 'cache'])).trim();
  await must('npm', ['install', '--silent', '--no-audit', '--no-fund', '--prefer-offline', `--cache=${cache}`, archive], { cwd: folder, env });

  const { version } = JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8')) as { version: string };
  assert.match((await k8ts('version')).stdout, new RegExp(`^k8ts ${version}, Kubernetes v1\\.36, Node v\\d+`));

  const real = process.getuid?.() === 0;
  const up = await k8ts('up', '--data-dir', dataDir, '--port', String(port), ...(real ? [] : ['--runtime', 'simulated']));
  assert.equal(up.code, 0, up.stdout + up.stderr);

  const kubectl = (...args: string[]): Promise<string> => must(stockTools().kubectl, args, { env });
  assert.match(await kubectl('get', 'nodes'), /\sReady\s/);
  await kubectl('create', 'deployment', 'web', '--image=k8ts.local/hello:1');
  await kubectl('rollout', 'status', 'deployment/web', '--timeout=60s');
  // Descriptions are a file of their own, read when first asked for.
  assert.match(await kubectl('explain', 'deployment.spec.replicas'), /DESCRIPTION:\s+\S/);

  const down = await k8ts('down', '--purge', '--data-dir', dataDir);
  assert.equal(down.code, 0, down.stdout + down.stderr);
});
