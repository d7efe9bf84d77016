import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Clock } from '../../world/world.ts';
import { simulatedWorld } from '../../world/simulated.ts';
import { slowResponse } from './slow-response.ts';
import { WatchOutbox } from './watch-outbox.ts';

const event = (text: string): Uint8Array => Buffer.from(text);

/** Once what is to happen in this turn has happened. */
const turn = (): Promise<void> =>
  new Promise((resolve) => {
    process.nextTick(() => process.nextTick(resolve));
  });

test('events of one turn go out as one write, in order', async () => {
  const outbox = new WatchOutbox(simulatedWorld(1).clock);
  const responses = [slowResponse(), slowResponse()];
  const writers = responses.map((response) => outbox.writerTo(response, undefined));
  for (const text of ['a', 'b', 'c']) for (const writer of writers) writer.write(event(text));
  writers[1]?.write(event('only the second'));
  assert.equal(writers[0]?.pending(), 3);
  await turn();
  assert.deepEqual(
    responses.map((response) => response.writes()),
    [1, 1],
  );
  for (const response of responses) while (response.takeOne());
  assert.deepEqual(
    responses.map((response) => response.received()),
    ['abc', 'abconly the second'],
  );
});

test('what a client has not read counts, sent or not', async () => {
  const outbox = new WatchOutbox(simulatedWorld(1).clock);
  const response = slowResponse();
  const writer = outbox.writerTo(response, undefined);
  writer.write(event('four'));
  await turn();
  writer.write(event('six more'));
  assert.equal(writer.pending(), 12);
});

test('the end comes after the last event', () => {
  const outbox = new WatchOutbox(simulatedWorld(1).clock);
  const response = slowResponse();
  const writer = outbox.writerTo(response, undefined);
  writer.write(event('last'));
  writer.end();
  while (response.takeOne());
  assert.equal(response.received(), 'last');
  assert.equal(response.writableEnded, true);
});

test('after a round of many writes events gather for a while, after a small one they do not', async () => {
  for (const { writes, restMs } of [
    { writes: 1, restMs: 0 },
    { writes: 49, restMs: 0 },
    { writes: 50, restMs: 2 },
    { writes: 500, restMs: 20 },
    { writes: 5_000, restMs: 40 },
  ]) {
    const timers: { readonly inMs: number; readonly run: () => void }[] = [];
    const clock: Clock = {
      ...simulatedWorld(1).clock,
      after: (inMs, run) => {
        timers.push({ inMs, run });
        return { cancel: () => undefined };
      },
    };
    const outbox = new WatchOutbox(clock);
    for (let i = 0; i < writes; i++) outbox.writerTo(slowResponse(), undefined).write(event('one of many'));
    await turn();
    const response = slowResponse();
    const writer = outbox.writerTo(response, undefined);
    writer.write(event('one'));
    writer.write(event('two'));
    await turn();
    assert.deepEqual(
      timers.map(({ inMs }) => inMs),
      restMs > 0 ? [restMs] : [],
    );
    assert.equal(response.writes(), restMs > 0 ? 0 : 1);
    for (const { run } of timers) run();
    assert.equal(response.writes(), 1);
  }
});

test('a client that reads nothing is asked what it left unread once that may matter', async () => {
  const outbox = new WatchOutbox(simulatedWorld(1).clock);
  const response = slowResponse();
  const writer = outbox.writerTo(response, undefined);
  const mebibyte = new Uint8Array(1024 * 1024);
  writer.write(mebibyte);
  await turn();
  writer.write(event('more'));
  assert.equal(writer.pending(), mebibyte.length + 4);
  while (response.takeOne());
  assert.equal(writer.pending(), 4);
});
