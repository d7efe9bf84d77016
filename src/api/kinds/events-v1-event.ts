/** Event of events.k8s.io/v1: the newer names for what a core Event says. Both are views of one stored object. */
import { defineKind } from '../define-kind.ts';
import type { Kind } from '../kind.ts';
import type * as types from '../types.ts';
import { Event, eventColumns, eventTtlSeconds } from './event.ts';

export type EventsV1Event = types.EventsV1Event;

export const EventsV1Event: Kind<types.EventsV1Event> = defineKind<types.EventsV1Event>({
  group: 'events.k8s.io',
  kind: 'Event',
  resource: 'events',
  model: 'EventsV1Event',
  shortNames: ['ev'],
  ttlSeconds: eventTtlSeconds,
  selectableFields: {
    'regarding.kind': ({ regarding }) => regarding?.kind ?? '',
    'regarding.namespace': ({ regarding }) => regarding?.namespace ?? '',
    'regarding.name': ({ regarding }) => regarding?.name ?? '',
    'regarding.uid': ({ regarding }) => regarding?.uid ?? '',
    'regarding.apiVersion': ({ regarding }) => regarding?.apiVersion ?? '',
    'regarding.resourceVersion': ({ regarding }) => regarding?.resourceVersion ?? '',
    'regarding.fieldPath': ({ regarding }) => regarding?.fieldPath ?? '',
    reason: ({ reason }) => reason ?? '',
    reportingController: ({ reportingController }) => reportingController ?? '',
    type: ({ type }) => type ?? '',
  },
  columns: eventColumns.map((column) => ({ ...column, value: (event, nowMs) => column.value(toCore(event), nowMs) })),
  storedAs: {
    kind: () => Event,
    toStored: toCore,
    fromStored: (stored) => fromCore(stored as types.CoreV1Event),
  },
});

function toCore(event: types.EventsV1Event): types.CoreV1Event {
  const { note, regarding, deprecatedCount, deprecatedFirstTimestamp, deprecatedLastTimestamp, deprecatedSource, reportingController, ...same } =
    event;
  return {
    ...same,
    apiVersion: 'v1',
    involvedObject: regarding ?? {},
    source: deprecatedSource ?? {},
    reportingComponent: reportingController ?? '',
    reportingInstance: event.reportingInstance ?? '',
    ...(note !== undefined && { message: note }),
    ...(deprecatedCount !== undefined && { count: deprecatedCount }),
    ...(deprecatedFirstTimestamp !== undefined && { firstTimestamp: deprecatedFirstTimestamp }),
    ...(deprecatedLastTimestamp !== undefined && { lastTimestamp: deprecatedLastTimestamp }),
  };
}

function fromCore(event: types.CoreV1Event): types.EventsV1Event {
  const { message, involvedObject, count, firstTimestamp, lastTimestamp, source, reportingComponent, series, eventTime, ...same } = event;
  return {
    ...same,
    apiVersion: 'events.k8s.io/v1',
    regarding: involvedObject,
    deprecatedSource: source ?? {},
    reportingController: reportingComponent,
    ...(eventTime !== undefined && { eventTime }),
    ...(series !== undefined && { series: { count: series.count ?? 0, lastObservedTime: series.lastObservedTime ?? '' } }),
    ...(message !== undefined && { note: message }),
    ...(count !== undefined && { deprecatedCount: count }),
    ...(firstTimestamp !== undefined && { deprecatedFirstTimestamp: firstTimestamp }),
    ...(lastTimestamp !== undefined && { deprecatedLastTimestamp: lastTimestamp }),
  } as types.EventsV1Event;
}
