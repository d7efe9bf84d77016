/** WATCH: past events from the cache's ring or the whole state, then live ones, until the client leaves, the time is up or it falls behind. */
import { expired } from '../../machinery/errors.ts';
import { bookmarkEvent } from '../registry/bookmark.ts';
import { EntryEvent } from '../registry/encoding.ts';
import { type ListOptions, listOptionsOf } from '../registry/list-options.ts';
import { candidates, scopeOf, selectionOf, testOf } from '../registry/selection.ts';
import { Watcher } from '../registry/watcher.ts';
import type { WatchAnswer, WatchSink } from '../request.ts';
import { mattersTo, type ObjectCall, type Storage } from './storage.ts';

/** Without a timeout of its own a watch lasts between this and twice as long, so that reconnects spread out. */
const minTimeoutSeconds = 1_800;

export async function watch(storage: Storage, call: ObjectCall): Promise<WatchAnswer> {
  const options = listOptionsOf(call.query, true);
  // A selector that cannot be parsed is a 400, not an event: find out before the stream begins.
  selectionOf(call.served, call.target.namespace, call.target.name, call.query);
  if (options.revision !== undefined) await storage.registry.waitFor(options.revision);
  if (call.served.converted) await call.served.converted.caughtUp(mattersTo(call));
  return { type: 'watch', start: (sink) => start(storage, call, options, sink) };
}

function start(storage: Storage, call: ObjectCall, options: ListOptions, sink: WatchSink): void {
  const { served, target, query, signal } = call;
  if (signal.aborted) {
    sink.end(undefined);
    return;
  }
  const { cache } = served;
  const { registry } = storage;
  const selection = selectionOf(served, target.namespace, target.name, query);
  const selects = testOf(served, selection);
  const replaysState = wantsState(options);
  const fromRevision = replaysState || options.revision === undefined || options.revision === 0 ? registry.shownRevision(served) : options.revision;
  const past = replaysState ? [] : cache.eventsAfter(fromRevision);

  const onAbort = (): void => watcher.end(undefined);
  const watcher = new Watcher({
    kind: served.kind,
    scope: scopeOf(served, selection),
    selects,
    convert: served.convertEvent,
    afterRevision: fromRevision,
    bookmarks: options.bookmarks,
    sink,
    log: storage.world.log,
    onEnd: (ended) => {
      cache.removeWatcher(ended);
      signal.removeEventListener('abort', onAbort);
    },
  });
  if (!past) {
    watcher.end(expired(`too old resource version: ${fromRevision} (${cache.oldestEvent()})`));
    return;
  }

  signal.addEventListener('abort', onAbort, { once: true });
  if (replaysState) {
    for (const entry of candidates(served, selection)) {
      if (!selects || selects(entry)) watcher.replay(new EntryEvent('ADDED', entry), entry.revision);
    }
    if (options.sendInitialEvents && options.bookmarks) watcher.replay(bookmarkEvent(served.kind, fromRevision, true), fromRevision);
  }
  for (const event of past) {
    const seen = event.seenBy(selects);
    if (seen) watcher.replay(seen, event.revision);
  }
  if (watcher.ended) return;
  watcher.sentRevision = fromRevision;
  cache.addWatcher(watcher);
  watcher.timer = storage.world.clock.after(timeoutMs(storage, options), () => watcher.end(undefined));
  if (options.bookmarks) registry.armBookmarks();
}

/** Whether the watch begins with all objects there are. */
function wantsState({ revision, sendInitialEvents }: ListOptions): boolean {
  if (sendInitialEvents !== undefined) return sendInitialEvents;
  return revision === undefined || revision === 0;
}

function timeoutMs(storage: Storage, { timeoutSeconds }: ListOptions): number {
  if (timeoutSeconds !== undefined && timeoutSeconds > 0) return timeoutSeconds * 1000;
  return minTimeoutSeconds * 1000 * (1 + storage.world.random.next());
}
