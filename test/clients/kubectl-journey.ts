/**
 * One version of stock kubectl through the long script of every command that faces the API, in `transcripts/`. They say what it prints here and mark where a
 * real Kubernetes v1.36 prints something else. `K8TS_REWRITE=1` writes down what it prints now (one version at a time), to be read with care before it is kept.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type ClusterUnderTest, startClusterUnderTest } from '../support/cluster-under-test.ts';
import { KubectlSession } from './kubectl-session.ts';
import { expectedLines, isKnownTo, readTranscript, type Step, withAnswers, writeTranscript } from './transcript.ts';

const folder = join(import.meta.dirname, 'transcripts');
const isRewriting = process.env['K8TS_REWRITE'] === '1';

export interface Chapter {
  readonly file: string;
  readonly steps: readonly Step[];
}

export function chapters(): Chapter[] {
  return readdirSync(folder)
    .toSorted()
    .map((file) => ({ file, steps: readTranscript(readFileSync(join(folder, file), 'utf8')) }));
}

/** Registers the tests of one version: a cluster of its own, then a test for each chapter; later chapters build on what earlier ones made. */
export function journey(version: string, program: () => Promise<string>): void {
  let cluster: ClusterUnderTest;
  let session: KubectlSession;

  before(async () => {
    cluster = await startClusterUnderTest('--runtime', 'simulated');
    session = new KubectlSession(cluster, version, await program());
    await session.begin();
  });
  after(async () => {
    await session.close();
    await cluster.close();
  });

  for (const { file, steps } of chapters())
    test(`kubectl ${version}: ${file.replace(/^\d+-|\.txt$/g, '')}`, async () => {
      const answers = new Map<Step, readonly string[]>();
      for (const step of steps.filter((one) => isKnownTo(one, version))) answers.set(step, await session.answer(step, !isRewriting));
      if (isRewriting) writeFileSync(join(folder, file), writeTranscript(steps.map((step) => withAnswers(step, version, answers.get(step)))));
      else {
        const wrong = [...answers].filter(([step, lines]) => lines.join('\n') !== expectedLines(step, version).join('\n'));
        assert.equal(wrong.length, 0, wrong.map(([step, lines]) => complaint(file, step, version, lines)).join('\n\n'));
      }
    });
}

function complaint(file: string, step: Step, version: string, lines: readonly string[]): string {
  return [`${file}:${step.line} $ ${step.command}`, 'expected', ...expectedLines(step, version), 'got', ...lines].join('\n');
}
