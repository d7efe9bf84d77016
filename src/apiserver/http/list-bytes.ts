/**
 * The bytes of a list, put together from those of its objects: whole and kept when the same list is asked for again, and until then piece by piece as it is
 * sent, so that a page of a few megabytes that nobody wants twice takes no memory of its own.
 */
import type { Encoded, ListAnswer } from '../request.ts';

/** A body that is not in one piece yet. */
export class Unjoined {
  readonly length: number;
  readonly #parts: readonly Uint8Array[];

  constructor(parts: readonly Uint8Array[]) {
    this.#parts = parts;
    let length = 0;
    for (const part of parts) length += part.length;
    this.length = length;
  }

  joined(): Uint8Array {
    const bytes = Buffer.allocUnsafeSlow(this.length);
    this.reader()(bytes);
    return bytes;
  }

  /** Answers what fills the buffer it is given with the bytes that come next, and says how many those were. */
  reader(): (target: Uint8Array) => number {
    const parts = this.#parts;
    let index = 0;
    let from = 0;
    return (target) => {
      let at = 0;
      for (let part = parts[index]; part !== undefined; part = parts[++index]) {
        const rest = from === 0 ? part : part.subarray(from);
        const room = target.length - at;
        if (rest.length > room) {
          target.set(rest.subarray(0, room), at);
          from += room;
          return target.length;
        }
        target.set(rest, at);
        at += rest.length;
        from = 0;
      }
      return at;
    };
  }
}

interface Known {
  readonly metadata: string;
  readonly unjoined: Unjoined;
  /** Once it was asked for again. */
  bytes: Uint8Array | undefined;
}

/** Lists are known as long as the verbs hand out the same items. */
const lists = new WeakMap<readonly Encoded[], Known>();

const comma = Buffer.from(',');
const tail = Buffer.from(']}');

export function listBytes({ kind, apiVersion, metadata, items }: ListAnswer): Uint8Array | Unjoined {
  const shownMetadata = JSON.stringify(metadata);
  const known = lists.get(items);
  if (known?.metadata === shownMetadata) {
    known.bytes ??= known.unjoined.joined();
    return known.bytes;
  }
  const head = `{"kind":${JSON.stringify(kind)},"apiVersion":${JSON.stringify(apiVersion)},"metadata":${shownMetadata},"items":[`;
  const parts: Uint8Array[] = [Buffer.from(head)];
  for (const { bytes } of items) {
    if (parts.length > 1) parts.push(comma);
    parts.push(bytes);
  }
  parts.push(tail);
  const unjoined = new Unjoined(parts);
  lists.set(items, { metadata: shownMetadata, unjoined, bytes: undefined });
  return unjoined;
}
