/**
 * A kind as clients address it, and where its objects are kept: mostly its own storage, for some kinds another version's or group's (autoscaling/v1 on v2),
 * converted on the way in and out. Each conversion is made and encoded once per revision.
 */
import { apiVersionOf, type Kind } from '../../api/kind.ts';
import type { Decoded } from '../../machinery/decode.ts';
import type { KubeObject } from '../../machinery/object.ts';
import type { ObjectSchema } from '../../machinery/schema.ts';
import type { Encoded, EncodedWatchEvent } from '../request.ts';
import { encodedEvent, type Entry, encodeWhole } from './encoding.ts';
import type { Conversion, ConvertedCache } from './converted-cache.ts';
import type { WatchCache } from './watch-cache.ts';

export interface ServedKind {
  readonly kind: Kind;
  readonly apiVersion: string;
  readonly schema: ObjectSchema;
  readonly decode: ((value: object) => Decoded) | undefined;
  /** The kind whose objects are stored. */
  readonly stored: Kind;
  readonly storedApiVersion: string;
  readonly storedSchema: ObjectSchema;
  readonly cache: WatchCache;
  /** There when a webhook converts the objects: the cache is a moment behind what is stored, and writes are converted on their way to the store. */
  readonly converted: ConvertedCache | undefined;
  readonly toStored: ((object: KubeObject) => KubeObject) | undefined;
  readonly fromStored: ((object: KubeObject) => KubeObject) | undefined;
  /** The entry as this kind shows it. */
  encoded(entry: Entry): Encoded;
  /** The same of many; the same array for the same entries. */
  encodedAll(entries: readonly Entry[]): readonly Encoded[];
  readonly convertEvent: ((event: EncodedWatchEvent) => EncodedWatchEvent) | undefined;
}

/** A kind that a definition brought, as one version of it is served. */
export interface CustomServing {
  readonly kind: Kind;
  /** What is stored, with this version's rules. */
  readonly stored: Kind;
  /** An object of whatever version, and from before the schema was as it is now, as this version shows it; the object itself when it is so already. */
  readonly show: (object: KubeObject) => KubeObject;
  /** What was written after this revision, in the version that is stored now, needs no showing. */
  readonly schemaRevision: number;
  /** In place of {@link show}: a webhook converts between the versions. */
  readonly conversion?: Conversion;
}

export function servedKind(kind: Kind, cache: WatchCache): ServedKind {
  const conversion = kind.storedAs;
  if (!conversion) return asStored(kind, cache.kind, cache);
  const { fromStored, toStored } = conversion;
  return { ...asStored(kind, cache.kind, cache), toStored, fromStored, ...converted(fromStored, () => false) };
}

export function customServedKind({ kind, stored, show, schemaRevision }: CustomServing, cache: WatchCache): ServedKind {
  const common = asStored(kind, stored, cache);
  if (kind.version !== stored.version) {
    const { storedApiVersion } = common;
    return { ...common, toStored: (object) => ({ ...object, apiVersion: storedApiVersion }), fromStored: show, ...converted(show, () => false) };
  }
  return { ...common, ...converted(show, (revision) => revision > schemaRevision) };
}

/** What a webhook converts is to the verbs as if it were stored so. */
export function convertedServedKind(kind: Kind, converted: ConvertedCache): ServedKind {
  return Object.defineProperty({ ...asStored(kind, kind, converted.cache), converted }, 'cache', { get: () => converted.cache, enumerable: true });
}

function asStored(kind: Kind, stored: Kind, cache: WatchCache): ServedKind {
  return {
    kind,
    apiVersion: apiVersionOf(kind),
    schema: kind.schema,
    decode: kind.decode?.bind(kind),
    stored,
    storedApiVersion: apiVersionOf(stored),
    storedSchema: stored.schema,
    cache,
    converted: undefined,
    toStored: undefined,
    fromStored: undefined,
    encoded: (entry) => entry,
    encodedAll: (entries) => entries,
    convertEvent: undefined,
  };
}

/** `isCurrent` tells by its revision whether an object is stored as it is shown. */
function converted(
  show: (object: KubeObject) => KubeObject,
  isCurrent: (revision: number) => boolean,
): Pick<ServedKind, 'encoded' | 'encodedAll' | 'convertEvent'> {
  const entries = new WeakMap<Entry, Encoded>();
  const lists = new WeakMap<readonly Entry[], readonly Encoded[]>();
  const events = new WeakMap<EncodedWatchEvent, EncodedWatchEvent>();
  const encoded = (entry: Entry): Encoded => {
    if (isCurrent(entry.revision)) return entry;
    let known = entries.get(entry);
    if (!known) {
      const shown = show(entry.object);
      known = shown === entry.object ? entry : encodeWhole(shown);
      entries.set(entry, known);
    }
    return known;
  };
  return {
    encoded,
    encodedAll(all) {
      let list = lists.get(all);
      if (!list) {
        list = all.every((entry) => isCurrent(entry.revision)) ? all : all.map((entry) => encoded(entry));
        lists.set(all, list);
      }
      return list;
    },
    convertEvent(event) {
      // Bookmarks are built for the kind that was asked for.
      if (event.type === 'BOOKMARK' || isCurrent(Number(event.object.metadata.resourceVersion))) return event;
      let known = events.get(event);
      if (!known) {
        const shown = show(event.object);
        known = shown === event.object ? event : encodedEvent(event.type, shown);
        events.set(event, known);
      }
      return known;
    },
  };
}
