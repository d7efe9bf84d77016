import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ScheduleError, parseSchedule } from './schedule.ts';

function after(schedule: string, from: string, zone?: string): string | undefined {
  const at = parseSchedule(schedule, zone).next(Date.parse(from));
  return at === undefined ? undefined : `${new Date(at).toISOString().slice(0, 19)}Z`;
}

describe('cron schedules', () => {
  const cases: readonly [schedule: string, from: string, next: string][] = [
    ['* * * * *', '2026-01-01T00:00:00Z', '2026-01-01T00:01:00Z'],
    ['* * * * *', '2026-01-01T00:00:59.999Z', '2026-01-01T00:01:00Z'],
    ['*/15 * * * *', '2026-01-01T00:16:00Z', '2026-01-01T00:30:00Z'],
    ['5/20 * * * *', '2026-01-01T00:26:00Z', '2026-01-01T00:45:00Z'],
    ['0 9-17/4 * * *', '2026-01-01T10:00:00Z', '2026-01-01T13:00:00Z'],
    ['30 3 * * MON-fri', '2026-01-02T04:00:00Z', '2026-01-05T03:30:00Z'],
    ['0 0 1 jan,JUL *', '2026-01-02T00:00:00Z', '2026-07-01T00:00:00Z'],
    ['0 0 29 2 *', '2026-01-01T00:00:00Z', '2028-02-29T00:00:00Z'],
    ['0 0 13 * 5', '2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z'],
    ['0 0 13 * ?', '2026-01-01T00:00:00Z', '2026-01-13T00:00:00Z'],
    ['@hourly', '2026-01-01T00:10:00Z', '2026-01-01T01:00:00Z'],
    ['@daily', '2026-01-01T00:10:00Z', '2026-01-02T00:00:00Z'],
    ['@weekly', '2026-01-01T00:10:00Z', '2026-01-04T00:00:00Z'],
    ['@monthly', '2026-01-01T00:10:00Z', '2026-02-01T00:00:00Z'],
    ['@yearly', '2026-01-01T00:10:00Z', '2027-01-01T00:00:00Z'],
    ['@every 1h30m', '2026-01-01T00:10:00Z', '2026-01-01T01:40:00Z'],
  ];
  for (const [schedule, from, next] of cases) it(`${schedule} after ${from}`, () => assert.equal(after(schedule, from), next));

  it('never, when there is no such day', () => assert.equal(after('0 0 30 2 *', '2026-01-01T00:00:00Z'), undefined));

  it('are refused with a reason', () => {
    for (const bad of [
      '',
      '* * * *',
      '60 * * * *',
      '5-1 * * * *',
      '*/0 * * * *',
      '* * * * 7',
      '@often',
      '1-2-3 * * * *',
      'x * * * *',
      '@every soon',
    ]) {
      assert.throws(() => parseSchedule(bad), ScheduleError, bad);
    }
  });
});

describe('cron schedules on the clocks of a time zone', () => {
  const berlin = 'Europe/Berlin';
  it('go by local time', () => assert.equal(after('0 9 * * *', '2026-07-01T00:00:00Z', berlin), '2026-07-01T07:00:00Z'));
  it('cross midnight with the zone', () => assert.equal(after('0 0 * * *', '2026-07-01T12:00:00Z', 'Asia/Kolkata'), '2026-07-01T18:30:00Z'));
  it('skip a time that daylight saving skips', () => assert.equal(after('30 2 * * *', '2026-03-28T12:00:00Z', berlin), '2026-03-30T00:30:00Z'));
  it('keep to other hours on that day', () => assert.equal(after('0 4 * * *', '2026-03-28T12:00:00Z', berlin), '2026-03-29T02:00:00Z'));
  it('come twice in an hour that is repeated', () => {
    assert.equal(after('30 2 * * *', '2026-10-24T12:00:00Z', berlin), '2026-10-25T00:30:00Z');
    assert.equal(after('30 2 * * *', '2026-10-25T00:30:00Z', berlin), '2026-10-25T01:30:00Z');
    assert.equal(after('30 2 * * *', '2026-10-25T01:30:00Z', berlin), '2026-10-26T01:30:00Z');
  });
  it('begin the day where midnight itself is skipped', () =>
    assert.equal(after('0 * 8 9 *', '2024-09-07T12:00:00Z', 'America/Santiago'), '2024-09-08T04:00:00Z'));
  it('cross the date line', () => assert.equal(after('0 12 * * *', '2026-01-01T00:00:00Z', 'Pacific/Kiritimati'), '2026-01-01T22:00:00Z'));
});
