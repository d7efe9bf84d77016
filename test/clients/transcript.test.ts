/** Transcripts are read, judged by version, and written again as they were. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chapters } from './kubectl-journey.ts';
import { differencesOf, expectedLines, isKnownTo, readTranscript, withAnswers, writeTranscript } from './transcript.ts';

const text = `# A remark.
$ kubectl get pods
[v1.20]
! No resources found
[v1.32 v1.36]
  NAME
  a
= 1

@since v1.32
@differs v1.36: other words; because of this
$ kubectl events
> and more
  same
`;

test('what is said to whom', () => {
  const [pods, events] = readTranscript(text);
  assert(pods && events);
  assert.deepEqual(expectedLines(pods, 'v1.20'), ['! No resources found']);
  assert.deepEqual(expectedLines(pods, 'v1.36'), ['  NAME', '  a', '= 1']);
  assert.deepEqual(expectedLines(events, 'v1.36'), ['  same']);
  assert.equal(events.command, 'kubectl events\nand more');
  assert.deepEqual([isKnownTo(events, 'v1.20'), isKnownTo(events, 'v1.32')], [false, true]);
  assert.deepEqual(differencesOf(events), ['v1.36: other words; because of this']);
  assert.throws(() => readTranscript('  an answer to nothing'), /line 1/);
  assert.throws(() => readTranscript('$ a\nneither'), /line 2/);
});

test('written, it is what was read', () => {
  assert.equal(writeTranscript(readTranscript(text)), text);
});

test('a version answers anew', () => {
  const steps = readTranscript('$ a\n[v1.20]\n  x\n[v1.32 v1.35 v1.36]\n  y\n').map((step) => withAnswers(step, 'v1.20', ['  y']));
  assert.equal(writeTranscript(steps), '$ a\n  y\n');
});

test('each difference from upstream has its reason', (t) => {
  for (const { file, steps } of chapters())
    for (const step of steps)
      for (const difference of differencesOf(step)) {
        assert.match(difference, /^v1\.36: .*; because \S/, `${file}:${step.line}`);
        t.diagnostic(`${step.command}: ${difference}`);
      }
});
