import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parsePodLogOptions, UnreadableOption, validatePodLogOptions } from './pod-log-options.ts';

const errorsOf = (query: string): string[] => validatePodLogOptions(parsePodLogOptions(new URLSearchParams(query))).map(String);

describe('which part of a log is asked for', () => {
  test('is read from the query', () => {
    const options = parsePodLogOptions(new URLSearchParams('follow&timestamps=true&previous=false&tailLines=0&sinceTime=2026-01-02T03:04:05Z'));
    assert.deepEqual(options, {
      follow: true,
      previous: false,
      timestamps: true,
      tailLines: 0,
      sinceSeconds: undefined,
      sinceTimeMs: Date.UTC(2026, 0, 2, 3, 4, 5),
      limitBytes: undefined,
      stream: undefined,
    });
  });

  for (const [query, ...errors] of [
    ['tailLines=0&limitBytes=1&sinceSeconds=1&stream=All'],
    ['tailLines=-1', 'tailLines: Invalid value: -1: must be greater than or equal to 0'],
    ['limitBytes=0', 'limitBytes: Invalid value: 0: must be greater than 0'],
    ['sinceSeconds=0', 'sinceSeconds: Invalid value: 0: must be greater than 0'],
    ['sinceSeconds=5&sinceTime=2026-01-02T03:04:05Z', ': Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified'],
    ['stream=both', 'stream: Unsupported value: "both": supported values: "All", "Stderr", "Stdout"'],
    ['stream=Stdout&tailLines=1', ': Forbidden: `tailLines` and specific `stream` are mutually exclusive for now'],
    ['stream=Stderr'],
  ] as const) {
    test(`${query} is ${errors.length === 0 ? 'taken' : 'refused'}`, () => assert.deepEqual(errorsOf(query), errors));
  }

  for (const query of ['tailLines=x', 'tailLines=1.5', 'limitBytes=1e3', 'sinceTime=soon', 'sinceSeconds=99999999999999999999']) {
    test(`${query} cannot be read`, () => assert.throws(() => parsePodLogOptions(new URLSearchParams(query)), UnreadableOption));
  }
});
