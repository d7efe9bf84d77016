/**
 * A kind as clients address it, and where its objects are kept: mostly its own storage, for some kinds another version's or group's (autoscaling/v1 on v2),
 * converted on the way in and out. Each conversion is made and encoded once per revision.
 */
import { apiVersionOf, type Kind } from '../../api/kind.ts';
import type { KubeObject } from '../../machinery/object.ts';
import type { ObjectSchema } from '../../machinery/schema.ts';
import type { Encoded, EncodedWatchEvent } from '../request.ts';
import { type Entry, encodeWhole } from './encoding.ts';
import type { WatchCache } from './watch-cache.ts';

export interface ServedKind {
  readonly kind: Kind;
  readonly apiVersion: string;
  readonly schema: ObjectSchema;
  /** The kind whose objects are stored. */
  readonly stored: Kind;
  readonly storedApiVersion: string;
  readonly storedSchema: ObjectSchema;
  readonly cache: WatchCache;
  readonly toStored: ((object: KubeObject) => KubeObject) | undefined;
  readonly fromStored: ((object: KubeObject) => KubeObject) | undefined;
  /** The entry as this kind shows it. */
  encoded(entry: Entry): Encoded;
  readonly convertEvent: ((event: EncodedWatchEvent) => EncodedWatchEvent) | undefined;
}

export function servedKind(kind: Kind, cache: WatchCache): ServedKind {
  const stored = cache.kind;
  const common = {
    kind,
    apiVersion: apiVersionOf(kind),
    schema: kind.schema,
    stored,
    storedApiVersion: apiVersionOf(stored),
    storedSchema: stored.schema,
    cache,
  };
  const conversion = kind.storedAs;
  if (!conversion) return { ...common, toStored: undefined, fromStored: undefined, encoded: (entry) => entry, convertEvent: undefined };

  const entries = new WeakMap<Entry, Encoded>();
  const events = new WeakMap<EncodedWatchEvent, EncodedWatchEvent>();
  return {
    ...common,
    toStored: conversion.toStored,
    fromStored: conversion.fromStored,
    encoded(entry) {
      let encoded = entries.get(entry);
      if (!encoded) {
        encoded = encodeWhole(conversion.fromStored(entry.object));
        entries.set(entry, encoded);
      }
      return encoded;
    },
    convertEvent(event) {
      // Bookmarks are built for the kind that was asked for.
      if (event.type === 'BOOKMARK') return event;
      let converted = events.get(event);
      if (!converted) {
        converted = { type: event.type, ...encodeWhole(conversion.fromStored(event.object)) };
        events.set(event, converted);
      }
      return converted;
    },
  };
}
