/**
 * An object's one JSON encoding. The store holds it without `metadata.resourceVersion`, which is the revision of the commit that wrote it and so
 * not known before; the served bytes are the stored ones with the revision spliced in behind a head that is the same for every object of a kind.
 */
import type { KubeObject, ManagedFieldsEntry } from '../../machinery/object.ts';
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

const encoder = new TextEncoder();

/** What goes into the store, alone in its memory: a store in memory keeps it as it is. */
export function encodeForStore(object: KubeObject): Uint8Array {
  return encoder.encode(storedJson(object));
}

/** Who owns which fields comes last in the metadata: its sets are shared by many objects, and written out once for all. */
function storedJson(object: KubeObject): string {
  const { kind, apiVersion, metadata, ...rest } = object;
  const { managedFields, resourceVersion: _, ...own } = metadata;
  if (managedFields === undefined || managedFields.length === 0) return JSON.stringify({ kind, apiVersion, metadata: own, ...rest });
  const head = `${headOf(kind, apiVersion)}${JSON.stringify(own).slice(1, -1)},"managedFields":[${managedFields.map(entryJson).join()}]}`;
  const tail = JSON.stringify(rest);
  return tail === '{}' ? `${head}}` : `${head},${tail.slice(1)}`;
}

const writtenSets = new WeakMap<object, string>();

function entryJson({ fieldsV1, ...entry }: ManagedFieldsEntry): string {
  if (fieldsV1 === undefined) return JSON.stringify(entry);
  let set = writtenSets.get(fieldsV1);
  if (set === undefined) writtenSets.set(fieldsV1, (set = JSON.stringify(fieldsV1)));
  return `${JSON.stringify(entry).slice(0, -1)},"fieldsV1":${set}}`;
}

const slabBytes = 1024 * 1024;

/** A part of a block of memory. */
export interface SlabPart {
  readonly slab: Buffer;
  readonly start: number;
  readonly end: number;
}

/**
 * Memory for many encodings that come at once, as at the start. It is shared memory, though nobody shares it, because the garbage collector does not count
 * that: what it counts it answers with a collection every few dozen megabytes, each through all that was loaded before.
 */
export class Slabs {
  #slab: Buffer = Buffer.alloc(0);
  #used = 0;

  /** Undefined for what is too large to share a block. */
  take(size: number): SlabPart | undefined {
    if (size > slabBytes / 16) return undefined;
    if (this.#used + size > this.#slab.length) {
      this.#slab = Buffer.from(new SharedArrayBuffer(slabBytes));
      this.#used = 0;
    }
    const start = this.#used;
    this.#used += size;
    return { slab: this.#slab, start, end: start + size };
  }
}

/** Stored bytes with the revision put in. */
export function spliceRevision(stored: Uint8Array, headLength: number, revision: number): Uint8Array {
  return replaceAfterHead(stored, headLength, headLength, revision);
}

/** The same into a slab, from stored bytes that are only lent. */
export function spliceIntoSlab(stored: Uint8Array, headLength: number, revision: number, slabs: Slabs): Uint8Array | SlabPart {
  const inserted = `${beforeRevision}${revision}${afterRevision}`;
  const part = slabs.take(stored.length + inserted.length);
  if (part === undefined) return spliceRevision(stored, headLength, revision);
  const { slab, start } = part;
  slab.set(stored, start + inserted.length);
  slab.copyWithin(start, start + inserted.length, start + inserted.length + headLength);
  slab.write(inserted, start + headLength, 'latin1');
  return part;
}

/** Served bytes with another revision in place of the one they have. */
export function respliceRevision(served: Uint8Array, headLength: number, from: number, to: number): Uint8Array {
  return replaceAfterHead(served, headLength, headLength + revisionLength(from), to);
}

function revisionLength(revision: number): number {
  return beforeRevision.length + String(revision).length + afterRevision.length;
}

function replaceAfterHead(bytes: Uint8Array, headLength: number, restAt: number, revision: number): Uint8Array {
  const inserted = `${beforeRevision}${revision}${afterRevision}`;
  const result = Buffer.allocUnsafeSlow(headLength + inserted.length + bytes.length - restAt);
  result.set(headLength === bytes.length ? bytes : bytes.subarray(0, headLength), 0);
  result.write(inserted, headLength, 'latin1');
  result.set(bytes.subarray(restAt), headLength + inserted.length);
  return result;
}

/** What the store holds of an object, and goes on holding: its bytes are put together from it when somebody asks for them. */
export interface StoredPart {
  readonly stored: Uint8Array;
  readonly headLength: number;
}

/**
 * One object at one revision: the cache's row, and what GET, LIST and watchers share. The bytes are what is kept; the object is parsed when looked at, and
 * known as long as anybody holds it, so that a hundred thousand objects nobody works on take their bytes and little more.
 */
export class Entry implements Encoded {
  /** `namespace/name` or `name`. */
  readonly path: string;
  readonly namespace: string | undefined;
  readonly revision: number;
  readonly createRevision: number;
  readonly #bytes: Uint8Array | SlabPart | StoredPart;
  readonly #frozen: boolean;
  #object: WeakRef<KubeObject> | undefined;

  constructor(
    place: { path: string; revision: number; createRevision: number },
    bytes: Uint8Array | SlabPart | StoredPart,
    object: KubeObject | undefined,
    frozen: boolean,
  ) {
    this.path = place.path;
    this.namespace = namespaceOfPath(place.path);
    this.revision = place.revision;
    this.createRevision = place.createRevision;
    this.#bytes = bytes;
    this.#frozen = frozen;
    this.#object = object && new WeakRef(frozen ? deepFreeze(object) : object);
  }

  get name(): string {
    return this.namespace === undefined ? this.path : this.path.slice(this.namespace.length + 1);
  }

  get bytes(): Uint8Array {
    const bytes = this.#bytes;
    return 'stored' in bytes ? spliceRevision(bytes.stored, bytes.headLength, this.revision) : this.#held();
  }

  /** Of the head, where it is known. */
  get headLength(): number | undefined {
    return 'stored' in this.#bytes ? this.#bytes.headLength : undefined;
  }

  get byteLength(): number {
    const bytes = this.#bytes;
    return 'stored' in bytes ? bytes.stored.length + revisionLength(this.revision) : 'slab' in bytes ? bytes.end - bytes.start : bytes.length;
  }

  /** The bytes there are: of an object whose bytes are yet to be put together, those without the revision. */
  #held(): Uint8Array {
    const bytes = this.#bytes;
    if ('stored' in bytes) return bytes.stored;
    // A view for each of a hundred thousand would take longer to make, and to look after, than the few that are asked for.
    return 'slab' in bytes ? bytes.slab.subarray(bytes.start, bytes.end) : bytes;
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
    return known ? known.metadata.labels : (fieldOf(this.#held(), labelsPath) as Readonly<Record<string, string>> | undefined);
  }

  /** Text at a path of fields; '' when there is none. */
  textAt(path: readonly string[]): string {
    const known = this.#object?.deref();
    const value = known ? valueAt(known, path) : fieldOf(this.#held(), path);
    return typeof value === 'string' ? value : '';
  }

  #parse(): KubeObject {
    const { buffer, byteOffset, byteLength } = this.bytes;
    const object = JSON.parse(Buffer.from(buffer, byteOffset, byteLength).toString('utf8')) as KubeObject;
    return this.#frozen ? deepFreeze(object) : object;
  }
}

const labelsPath = ['metadata', 'labels'];

function valueAt(object: KubeObject, path: readonly string[]): unknown {
  let value: unknown = object;
  for (const name of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
    value = (value as Readonly<Record<string, unknown>>)[name];
  }
  return value;
}

let lastNamespace = '';

/** Neighbours mostly are of the same namespace, and may have the same string. */
function namespaceOfPath(path: string): string | undefined {
  if (path.charCodeAt(lastNamespace.length) === slash && path.startsWith(lastNamespace)) return lastNamespace;
  const end = path.indexOf('/');
  if (end < 0) return undefined;
  lastNamespace = path.slice(0, end);
  return lastNamespace;
}

const slash = 0x2f;

/** An entry told to watchers. */
export class EntryEvent implements EncodedWatchEvent {
  readonly type: EncodedWatchEvent['type'];
  readonly #entry: Encoded;

  constructor(type: EncodedWatchEvent['type'], entry: Encoded) {
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

/** An object told to watchers in another form than the cache has it in. */
export function encodedEvent(type: EncodedWatchEvent['type'], object: KubeObject): EncodedWatchEvent {
  return new EntryEvent(type, encodeWhole(object));
}

/** An object that never was, or no longer is, in the cache, with its encoding: answers to dry runs, last states, converted versions. */
export function encodeWhole(object: KubeObject): Encoded {
  return new Whole(object);
}

/** Encoded when somebody asks for the bytes, which callers in the same process do not. */
class Whole implements Encoded {
  readonly object: KubeObject;
  #bytes: Uint8Array | undefined;

  constructor(object: KubeObject) {
    this.object = object;
  }

  get bytes(): Uint8Array {
    return (this.#bytes ??= Buffer.from(JSON.stringify(this.object), 'utf8'));
  }
}
