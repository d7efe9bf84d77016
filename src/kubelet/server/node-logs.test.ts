import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { journalArguments, nodeLogQueryOf, validateNodeLogQuery } from './node-log-query.ts';
import { partOf } from './node-logs.ts';

describe('parts of a file', () => {
  for (const [header, part] of [
    [undefined, undefined],
    ['bytes=0-', { start: 0, end: 9 }],
    ['bytes=2-4', { start: 2, end: 4 }],
    ['bytes=2-40', { start: 2, end: 9 }],
    ['bytes=-3', { start: 7, end: 9 }],
    ['bytes=-30', { start: 0, end: 9 }],
    ['bytes=10-', 'none'],
    ['bytes=5-4', 'none'],
    ['bytes=-', undefined],
    ['bytes=0-1,3-4', undefined],
    ['lines=0-1', undefined],
  ] as const) {
    test(`${header ?? 'nothing'} of ten bytes`, () => assert.deepEqual(partOf(header, 10), part));
  }
});

describe('a question about logs', () => {
  const errorsOf = (query: string): string[] => {
    const asked = nodeLogQueryOf(new URLSearchParams(query));
    return asked === undefined ? ['nothing is asked'] : validateNodeLogQuery(asked).map(String);
  };
  for (const [query, ...errors] of [
    ['', 'nothing is asked'],
    ['follow=true', 'nothing is asked'],
    ['query=kubelet'],
    ['query=a&query=b&query=c&query=d'],
    ['query=a&query=b&query=c&query=d&query=e', 'query: Too many: 5: must have at most 4 items'],
    ['query=/var/x'],
    ['query=%20', 'query: Required value: cannot be empty with options'],
    ['tailLines=5', 'query: Required value: cannot be empty with options'],
    ['query=/x&tailLines=5', 'query: Invalid value: "/x": cannot specify file with options'],
    ['query=/x&query=/y', 'query: Invalid value: "/x,/y": cannot specify more than one file'],
    ['query=/x&query=y', 'query: Invalid value: "/x, y": cannot specify a file and service'],
    ['query=a&tailLines=100000'],
    ['query=a&tailLines=100001', 'tailLines: Invalid value: 100001: must be between 0 and 100000, inclusive'],
    ['query=a&boot=0'],
    ['query=a&boot=1', 'boot: Invalid value: 1: must be less than 1'],
    [
      'query=a&sinceTime=2026-01-01T00:00:00Z&untilTime=2025-01-01T00:00:00Z',
      'untilTime: Invalid value: "2025-01-01T00:00:00Z": must be after `sinceTime`',
    ],
    ['query=a&sinceTime=now', 'sinceTime: Invalid value: "now": invalid time format'],
    ['query=a&pattern=(', 'pattern: Invalid value: "(": is no regular expression'],
  ] as const) {
    test(`${query || 'of nothing'} ${errors.length === 0 ? 'is answered' : 'is refused'}`, () => assert.deepEqual(errorsOf(query), errors));
  }

  test('is put to the journal in its own words', () => {
    const options = { sinceTime: '2026-01-02T03:04:05+01:00', tailLines: 5, boot: -1, pattern: 'err|warn' };
    assert.equal(
      journalArguments(['kubelet', 'containerd'], options).slice(3).join(' '),
      '--since=2026-01-02 02:04:05 UTC --lines 5 --unit kubelet --unit containerd --grep err|warn --boot -1',
    );
  });
});
