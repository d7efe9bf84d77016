/**
 * What watches have to say, gathered for all of them and sent in rounds. A write to a connection costs a system call and an encrypted record, however little
 * it carries: with a thousand watchers a round takes milliseconds, and one for every commit would take the whole processor. So after a round of many
 * writes there is a rest in proportion, in which events gather; after the small rounds of a common cluster there is none.
 */
import type { Clock } from '../../world/world.ts';
import type { HttpResponse } from './connection.ts';
import type { Histogram } from '../../machinery/exposition.ts';
import type { EventWriter } from './watch-stream.ts';

/** A write takes 3 to 20 µs with what follows it, by machine: rounds take between a tenth and half of the time. */
const restMsPerWrite = 0.04;
/** Shorter than a clock's step: not worth a timer. */
const shortestRestMs = 2;
const longestRestMs = 40;
/** Asking a response how much it has not sent costs more than handing it an event, so up to here what it last said is taken. */
const surelyHarmlessBytes = 1024 * 1024;

export class WatchOutbox {
  readonly #clock: Clock;
  #waiting: ResponseWriter[] = [];
  #isDue = false;
  #restUntilMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  writerTo(response: HttpResponse, sizes: Histogram | undefined): EventWriter {
    return new ResponseWriter(response, sizes, (writer) => this.#add(writer));
  }

  #add(writer: ResponseWriter): void {
    this.#waiting.push(writer);
    if (this.#isDue) return;
    this.#isDue = true;
    const restMs = this.#restUntilMs - this.#clock.now();
    // Events of one commit, or of one list of past ones, go out together in any case.
    if (restMs > 0) this.#clock.after(Math.min(restMs, longestRestMs), () => this.#round());
    else process.nextTick(() => this.#round());
  }

  #round(): void {
    const writers = this.#waiting;
    this.#waiting = [];
    this.#isDue = false;
    const joined = new JoinedEvents();
    for (const writer of writers) writer.flush(joined);
    const restMs = Math.min(writers.length * restMsPerWrite, longestRestMs);
    if (restMs >= shortestRestMs) this.#restUntilMs = this.#clock.now() + restMs;
  }
}

/** The same events for many watchers in one piece, joined once. */
class JoinedEvents {
  readonly #byFirst = new Map<Uint8Array, { readonly events: readonly Uint8Array[]; readonly bytes: Uint8Array }>();

  of(events: readonly Uint8Array[]): Uint8Array {
    const [first] = events;
    if (first === undefined) return Buffer.alloc(0);
    if (events.length === 1) return first;
    const known = this.#byFirst.get(first);
    if (known && isSame(known.events, events)) return known.bytes;
    const bytes = Buffer.concat(events);
    this.#byFirst.set(first, { events, bytes });
    return bytes;
  }
}

function isSame(a: readonly Uint8Array[], b: readonly Uint8Array[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

class ResponseWriter implements EventWriter {
  readonly #response: HttpResponse;
  readonly #sizes: Histogram | undefined;
  readonly #isWaiting: (writer: ResponseWriter) => void;
  #events: Uint8Array[] = [];
  #bytes = 0;
  /** As it was after the last round: it shrinks until the next. */
  #unsentBytes = 0;

  constructor(response: HttpResponse, sizes: Histogram | undefined, isWaiting: (writer: ResponseWriter) => void) {
    this.#response = response;
    this.#sizes = sizes;
    this.#isWaiting = isWaiting;
  }

  write(event: Uint8Array): void {
    this.#events.push(event);
    this.#bytes += event.length;
    this.#sizes?.observe(event.length);
    if (this.#events.length === 1) this.#isWaiting(this);
  }

  pending(): number {
    if (this.#bytes + this.#unsentBytes > surelyHarmlessBytes) this.#unsentBytes = this.#response.writableLength;
    return this.#bytes + this.#unsentBytes;
  }

  flush(joined: JoinedEvents): void {
    if (this.#events.length === 0) return;
    const bytes = joined.of(this.#events);
    this.#events = [];
    this.#bytes = 0;
    this.#response.write(bytes);
    this.#unsentBytes = this.#response.writableLength;
  }

  end(): void {
    this.flush(new JoinedEvents());
    this.#response.end();
  }
}
