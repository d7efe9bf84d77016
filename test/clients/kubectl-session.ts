/** A shell in which `kubectl` is one version of it, with a namespace, kubeconfig and scratch folder of its own. */
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ClusterUnderTest } from '../support/cluster-under-test.ts';
import { run } from '../support/stock-tools.ts';
import { expectedLines, hasMark, type Step } from './transcript.ts';
import { withoutVolatile } from './volatile.ts';

const manifests = join(import.meta.dirname, 'manifests');
const patienceMs = 30_000;

export class KubectlSession {
  readonly version: string;
  private readonly cluster: ClusterUnderTest;
  private readonly home = mkdtempSync(join(tmpdir(), 'k8ts-kubectl-'));
  private readonly namespace: string;
  private node = '';

  constructor(cluster: ClusterUnderTest, version: string, program: string) {
    this.cluster = cluster;
    this.version = version;
    this.namespace = `journey-${version.replace('v1.', '')}`;
    mkdirSync(join(this.home, 'bin'));
    symlinkSync(program, join(this.home, 'bin/kubectl'));
    cpSync(cluster.kubeconfig, join(this.home, 'kubeconfig'));
    cpSync(manifests, join(this.home, 'work'), { recursive: true });
  }

  async begin(): Promise<void> {
    await this.shell(`kubectl create namespace ${this.namespace} && kubectl config set-context --current --namespace=${this.namespace}`);
    this.node = await this.cluster.kubectl('get nodes -o jsonpath={.items[0].metadata.name}');
  }

  /** What the command answers, as lines of a transcript; asked again where the step says so, until it is what is expected. */
  async answer(step: Step, isExpected: boolean): Promise<readonly string[]> {
    const deadline = performance.now() + (isExpected ? patienceMs : 3_000);
    for (;;) {
      const lines = await this.shell(step.command);
      if (!hasMark(step, 'eventually') || performance.now() > deadline) return lines;
      if (isExpected && lines.join('\n') === expectedLines(step, this.version).join('\n')) return lines;
      await sleep(200);
    }
  }

  async close(): Promise<void> {
    await this.shell(`kubectl delete namespace ${this.namespace} --wait=false`);
    rmSync(this.home, { recursive: true, force: true });
  }

  private async shell(command: string): Promise<string[]> {
    const env = {
      HOME: this.home,
      KUBECONFIG: join(this.home, 'kubeconfig'),
      PATH: [join(this.home, 'bin'), ...systemPath()].join(':'),
      NS: this.namespace,
      NODE: this.node,
      TERM: 'dumb',
      LC_ALL: 'C',
      TZ: 'UTC',
    };
    const { code, stdout, stderr } = await run('sh', ['-c', command], { env, cwd: join(this.home, 'work') });
    const names = {
      [this.home]: '<home>',
      [this.namespace]: '<ns>',
      [this.cluster.dataDir]: '<data>',
      [String(this.cluster.port)]: '<port>',
      ...(this.node !== '' && { [this.node]: '<node>' }),
    };
    const lines = (text: string, mark: string): string[] =>
      text === '' ? [] : withoutVolatile(text, names).map((line) => (`${mark}${line}`.trimEnd() === '' ? '  .' : `${mark}${line}`));
    return [...lines(stdout, '  '), ...lines(stderr, '! '), ...(code === 0 ? [] : [`= ${code}`])];
  }
}

/** Without what npm puts before it when it runs a script: kubectl looks for plugins there, and says what it could not read. */
function systemPath(): string[] {
  return (process.env['PATH'] ?? '').split(':').filter((folder) => !folder.endsWith('node_modules/.bin') && !folder.includes('node-gyp-bin'));
}
