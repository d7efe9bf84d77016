/** Earlier states put together from the newest one and what undoes the commits since. */
import { compareKeys } from './key-order.ts';
import type { UndoRecord } from './medium.ts';
import { type Change, type KeyValue, type StoreEvent, StoreFailure } from './store.ts';

/** Entries with the covered keys' states in place of what is there, in order. */
export function* withCovered(entries: Iterable<KeyValue>, covered: ReadonlyMap<string, KeyValue | undefined>): Generator<KeyValue> {
  const extra = [...covered.values()].filter((value) => value !== undefined).sort((a, b) => compareKeys(a.key, b.key));
  let position = 0;
  for (const entry of entries) {
    if (covered.has(entry.key)) continue;
    for (let next = extra[position]; next && compareKeys(next.key, entry.key) < 0; next = extra[++position]) yield next;
    yield entry;
  }
  for (; position < extra.length; position++) {
    const next = extra[position];
    if (next) yield next;
  }
}

/** Past events below a prefix from the log, read backwards: what a key became is what the record after it found, or what it is now. */
export function replayed(log: Iterable<UndoRecord>, prefix: string, newest: (key: string) => KeyValue | undefined): StoreEvent[] {
  const next = new Map<string, KeyValue | undefined>();
  const events: StoreEvent[] = [];
  for (const { revision, changes } of [...log].reverse()) {
    const past: Change[] = [];
    for (const { key, deleted, previous } of changes) {
      if (!key.startsWith(prefix)) continue;
      if (deleted) {
        if (previous === undefined) throw new StoreFailure(`the history of ${key} is damaged at revision ${revision}`);
        past.push({ type: 'delete', key, previous });
      } else {
        const current = next.has(key) ? next.get(key) : newest(key);
        if (current?.modRevision !== revision) throw new StoreFailure(`the history of ${key} is damaged at revision ${revision}`);
        past.push({ type: 'put', key, value: current.value, createRevision: current.createRevision, previous });
      }
      next.set(key, previous);
    }
    if (past.length > 0) events.push({ revision, changes: past });
  }
  return events.reverse();
}
