/**
 * How entries and undo records lie on disk. Numbers are little-endian doubles (revisions and times fit exactly) so that reading one is one load.
 * Changing any of this means a new `formatVersion` in `lmdb.ts`.
 */
import type { AppliedChange, Entry, LoadedKey, UndoChange } from './medium.ts';
import { StoreFailure } from './store.ts';

/** createRevision, modRevision, expiresAtMs (0: never); the value follows. */
const entryHeader = 24;
/** flags, length of the key; then the key, and of a previous state createRevision, modRevision, length of the value, value. */
const changeHeader = 3;
const previousHeader = 20;
const deletedFlag = 1;
const previousFlag = 2;

export function entrySize(entry: Entry): number {
  return entryHeader + entry.value.length;
}

/** Writes into `target` from its start; `target` is exactly {@link entrySize} long. */
export function writeEntry(target: Buffer, entry: Entry): void {
  target.writeDoubleLE(entry.createRevision, 0);
  target.writeDoubleLE(entry.modRevision, 8);
  target.writeDoubleLE(entry.expiresAtMs ?? 0, 16);
  target.set(entry.value, entryHeader);
}

/** The value stays a part of `source`, and lasts as long as that is not used anew. */
export function readEntry(key: string, source: Buffer, length: number): Entry {
  return {
    key,
    value: source.subarray(entryHeader, length),
    createRevision: source.readDoubleLE(0),
    modRevision: source.readDoubleLE(8),
    expiresAtMs: source.readDoubleLE(16) || undefined,
  };
}

export function readEntryHeader(key: string, source: Buffer): LoadedKey {
  return { key, modRevision: source.readDoubleLE(8), expiresAtMs: source.readDoubleLE(16) || undefined };
}

export function undoSize(changes: readonly AppliedChange[]): number {
  let size = 0;
  for (const { key, previous } of changes) {
    size += changeHeader + Buffer.byteLength(key) + (previous ? previousHeader + previous.value.length : 0);
  }
  return size;
}

export function writeUndo(target: Buffer, changes: readonly AppliedChange[]): void {
  let at = 0;
  for (const { key, current, previous } of changes) {
    target[at] = (current ? 0 : deletedFlag) | (previous ? previousFlag : 0);
    const keyLength = target.write(key, at + changeHeader);
    target.writeUInt16LE(keyLength, at + 1);
    at += changeHeader + keyLength;
    if (previous === undefined) continue;
    target.writeDoubleLE(previous.createRevision, at);
    target.writeDoubleLE(previous.modRevision, at + 8);
    target.writeUInt32LE(previous.value.length, at + 16);
    target.set(previous.value, at + previousHeader);
    at += previousHeader + previous.value.length;
  }
}

export function readUndo(source: Buffer): UndoChange[] {
  const changes: UndoChange[] = [];
  let at = 0;
  while (at < source.length) {
    const flags = source.readUInt8(at);
    const keyEnd = at + changeHeader + source.readUInt16LE(at + 1);
    const key = source.toString('utf8', at + changeHeader, keyEnd);
    const deleted = (flags & deletedFlag) !== 0;
    at = keyEnd;
    if ((flags & previousFlag) === 0) {
      changes.push({ key, deleted, previous: undefined });
      continue;
    }
    const valueStart = at + previousHeader;
    const valueEnd = valueStart + source.readUInt32LE(at + 16);
    if (valueEnd > source.length) throw new StoreFailure(`the history of ${key} is cut short on disk`);
    const value = source.subarray(valueStart, valueEnd);
    changes.push({ key, deleted, previous: { key, value, createRevision: source.readDoubleLE(at), modRevision: source.readDoubleLE(at + 8) } });
    at = valueEnd;
  }
  return changes;
}

/** Revisions as log keys: six bytes, so that bytes sort as numbers do. */
export function revisionKey(revision: number): Buffer {
  const key = Buffer.allocUnsafe(6);
  key.writeUIntBE(revision, 0, 6);
  return key;
}

export function readRevisionKey(key: Buffer): number {
  return key.readUIntBE(0, 6);
}
