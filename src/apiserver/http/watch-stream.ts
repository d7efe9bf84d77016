/**
 * Watches on the wire: a line of JSON per event, the object's bytes spliced in as they are, or a protobuf message with its length. What a client has not read yet is bounded; one that falls
 * behind is told so by the verbs (410) and ended. Over WebSocket each event is a message.
 */
import type { Kind } from '../../api/kind.ts';
import { ApiError, internalError } from '../../machinery/errors.ts';
import type { EncodedWatchEvent, WatchAnswer, WatchSink } from '../request.ts';
import { errorEventInProtobuf, eventInProtobuf, metadataEventInProtobuf } from '../protobuf/answers.ts';
import { type IncludeObject, metadataOnly, tableOf } from '../table.ts';
import type { Accepted } from './negotiate.ts';

/** Where the events go. */
export interface EventWriter {
  /** A line of JSON with its line break, or a protobuf message with its length before it. */
  write(event: Uint8Array): void;
  /** Bytes handed over and not yet sent. */
  pending(): number;
  end(): void;
}

export interface WatchForm {
  readonly accepted: Accepted;
  readonly kind: Kind | undefined;
  readonly includeObject: IncludeObject;
  readonly now: () => number;
}

/** Beyond what was pending when the past events were all sent. */
const boundBytes = 8 * 1024 * 1024;

const newline = 0x0a;
const closeBrace = 0x7d;

/** An event is framed once for all who watch the object as it is. */
const framed = new WeakMap<EncodedWatchEvent, Uint8Array>();

export function streamWatch(answer: WatchAnswer, form: WatchForm, writer: EventWriter): void {
  const sink = new WritingSink(form, writer);
  answer.start(sink);
  sink.live();
}

class WritingSink implements WatchSink {
  private readonly form: WatchForm;
  private readonly writer: EventWriter;
  private bound = Infinity;
  private ended = false;
  private headersShown = false;

  constructor(form: WatchForm, writer: EventWriter) {
    this.form = form;
    this.writer = writer;
  }

  /** From here on the bound holds. */
  live(): void {
    this.bound = this.writer.pending() + boundBytes;
  }

  send(event: EncodedWatchEvent): boolean {
    if (this.ended) return false;
    this.writer.write(this.encoded(event));
    return this.writer.pending() < this.bound;
  }

  end(error: Error | undefined): void {
    if (this.ended) return;
    this.ended = true;
    if (error !== undefined) {
      const status = (error instanceof ApiError ? error : internalError(error.message)).toStatus();
      const isProtobuf = this.form.accepted.format === 'protobuf';
      this.writer.write(isProtobuf ? errorEventInProtobuf(status) : line({ type: 'ERROR', object: status }));
    }
    this.writer.end();
  }

  private encoded(event: EncodedWatchEvent): Uint8Array {
    const { accepted, kind } = this.form;
    if (accepted.format === 'protobuf' && kind !== undefined) {
      return accepted.as === 'object' ? eventInProtobuf(event, kind.schema) : metadataEventInProtobuf(event, accepted.metaVersion);
    }
    return accepted.as === 'object' ? frame(event) : line(this.transformed(event));
  }

  private transformed({ type, object }: EncodedWatchEvent): object {
    const { accepted, kind, includeObject, now } = this.form;
    if (accepted.as !== 'table' || kind === undefined) return { type, object: metadataOnly(object, accepted.metaVersion) };
    const options = { includeObject, version: accepted.metaVersion, nowMs: now() };
    const { resourceVersion } = object.metadata;
    // A bookmark is an object in nothing but its version.
    const table = tableOf(kind, type === 'BOOKMARK' ? [] : [object], { resourceVersion }, options);
    // Columns are told once.
    const shown = this.headersShown ? { ...table, columnDefinitions: null } : table;
    this.headersShown = true;
    return { type, object: shown };
  }
}

function line(value: object): Buffer {
  return Buffer.from(`${JSON.stringify(value)}\n`);
}

function frame(event: EncodedWatchEvent): Uint8Array {
  const known = framed.get(event);
  if (known !== undefined) return known;
  const head = heads[event.type];
  const line = Buffer.allocUnsafe(head.length + event.bytes.length + 2);
  line.set(head, 0);
  line.set(event.bytes, head.length);
  line[line.length - 2] = closeBrace;
  line[line.length - 1] = newline;
  framed.set(event, line);
  return line;
}

const heads = {
  ADDED: Buffer.from('{"type":"ADDED","object":'),
  MODIFIED: Buffer.from('{"type":"MODIFIED","object":'),
  DELETED: Buffer.from('{"type":"DELETED","object":'),
  BOOKMARK: Buffer.from('{"type":"BOOKMARK","object":'),
} as const;
