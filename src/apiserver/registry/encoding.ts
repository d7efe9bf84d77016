/**
 * An object's one JSON encoding. The store holds it without `metadata.resourceVersion`, which is the revision of the commit that wrote it and so
 * not known before; the served bytes are the stored ones with the revision spliced in behind a head that is the same for every object of a kind.
 */
import type { KubeObject } from '../../machinery/object.ts';
import { deepFreeze } from '../../machinery/clone.ts';
import type { Encoded, EncodedWatchEvent } from '../request.ts';
import { fieldOf } from './encoded-field.ts';

/** Objects start with this; what differs between them begins at its end. */
export function headOf(kind: string, apiVersion: string): string {
  return `{"kind":${JSON.stringify(kind)},"apiVersion":${JSON.stringify(apiVersion)},"metadata":{`;
}

const metadataStart = Buffer.from('"metadata":{');

/** Length of the head of an encoding; `usual` when it is the kind's, another when an earlier version of a custom kind wrote it. */
export function headLengthOf(bytes: Uint8Array, usual: Buffer): number {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (buffer.compare(usual, 0, usual.length, 0, Math.min(usual.length, buffer.length)) === 0) return usual.length;
  return buffer.indexOf(metadataStart) + metadataStart.length;
}

const beforeRevision = '"resourceVersion":"';
const afterRevision = '",';

/** What goes into the store. */
export function encodeForStore(object: KubeObject): Buffer {
  return Buffer.from(storedJson(object), 'utf8');
}

function storedJson(object: KubeObject): string {
  const { kind, apiVersion, metadata, ...rest } = object;
  return JSON.stringify({ kind, apiVersion, metadata: { ...metadata, resourceVersion: undefined }, ...rest });
}

const slabBytes = 64 * 1024;

/** Memory for many encodings that come at once, as at the start: a block for a dozen of them costs little more than one for each would. */
export class Slabs {
  #slab = Buffer.allocUnsafeSlow(0);
  #used = 0;

  take(size: number): Buffer {
    if (size > slabBytes / 4) return Buffer.allocUnsafeSlow(size);
    if (this.#used + size > this.#slab.length) {
      this.#slab = Buffer.allocUnsafeSlow(slabBytes);
      this.#used = 0;
    }
    const part = this.#slab.subarray(this.#used, this.#used + size);
    this.#used += size;
    return part;
  }
}

/** Stored bytes with the revision put in. */
export function spliceRevision(stored: Uint8Array, headLength: number, revision: number, slabs?: Slabs): Uint8Array {
  return replaceAfterHead(stored, headLength, headLength, revision, slabs);
}

/** Served bytes with another revision in place of the one they have. */
export function respliceRevision(served: Uint8Array, headLength: number, from: number, to: number): Uint8Array {
  return replaceAfterHead(served, headLength, headLength + beforeRevision.length + String(from).length + afterRevision.length, to);
}

function replaceAfterHead(bytes: Uint8Array, headLength: number, restAt: number, revision: number, slabs?: Slabs): Uint8Array {
  const inserted = `${beforeRevision}${revision}${afterRevision}`;
  const size = headLength + inserted.length + bytes.length - restAt;
  const result = slabs ? slabs.take(size) : Buffer.allocUnsafeSlow(size);
  result.set(headLength === bytes.length ? bytes : bytes.subarray(0, headLength), 0);
  result.write(inserted, headLength, 'latin1');
  result.set(bytes.subarray(restAt), headLength + inserted.length);
  return result;
}

/**
 * One object at one revision: the cache's row, and what GET, LIST and watchers share. The bytes are what is kept; the object is parsed when looked at, and
 * known as long as anybody holds it, so that a hundred thousand objects nobody works on take their bytes and little more.
 */
export class Entry implements Encoded {
  /** `namespace/name` or `name`. */
  readonly path: string;
  readonly namespace: string | undefined;
  readonly name: string;
  readonly revision: number;
  readonly createRevision: number;
  readonly bytes: Uint8Array;
  readonly #frozen: boolean;
  #object: WeakRef<KubeObject> | undefined;

  constructor(place: { path: string; revision: number; createRevision: number }, bytes: Uint8Array, object: KubeObject | undefined, frozen: boolean) {
    const slash = place.path.indexOf('/');
    this.path = place.path;
    this.namespace = slash < 0 ? undefined : place.path.slice(0, slash);
    this.name = slash < 0 ? place.path : place.path.slice(slash + 1);
    this.revision = place.revision;
    this.createRevision = place.createRevision;
    this.bytes = bytes;
    this.#frozen = frozen;
    this.#object = object && new WeakRef(frozen ? deepFreeze(object) : object);
  }

  get object(): KubeObject {
    const known = this.#object?.deref();
    if (known) return known;
    const object = this.#parse();
    this.#object = new WeakRef(object);
    return object;
  }

  /** The object for one look at it: for whoever goes through thousands, so that they need not all be in memory at once. */
  glance(): KubeObject {
    return this.#object?.deref() ?? this.#parse();
  }

  get labels(): Readonly<Record<string, string>> | undefined {
    const known = this.#object?.deref();
    return known ? known.metadata.labels : (fieldOf(this.bytes, labelsPath) as Readonly<Record<string, string>> | undefined);
  }

  /** Text at a path of fields; '' when there is none. */
  textAt(path: readonly string[]): string {
    const value = fieldOf(this.bytes, path);
    return typeof value === 'string' ? value : '';
  }

  #parse(): KubeObject {
    const object = JSON.parse(Buffer.from(this.bytes.buffer, this.bytes.byteOffset, this.bytes.byteLength).toString('utf8')) as KubeObject;
    return this.#frozen ? deepFreeze(object) : object;
  }
}

const labelsPath = ['metadata', 'labels'];

/** An entry told to watchers. */
export class EntryEvent implements EncodedWatchEvent {
  readonly type: EncodedWatchEvent['type'];
  readonly #entry: Entry;

  constructor(type: EncodedWatchEvent['type'], entry: Entry) {
    this.type = type;
    this.#entry = entry;
  }

  get object(): KubeObject {
    return this.#entry.object;
  }

  get bytes(): Uint8Array {
    return this.#entry.bytes;
  }
}

/** An object that never was, or no longer is, in the cache, with its encoding: answers to dry runs, last states, converted versions. */
export function encodeWhole(object: KubeObject): Encoded {
  return { object, bytes: Buffer.from(JSON.stringify(object), 'utf8') };
}
