/** Event of events.k8s.io/v1: the newer names for what a core Event says. Both are views of one stored object. */
import { defineKind } from '../define-kind.ts';
import { invalidValue, required, type FieldError } from '../../machinery/field-error.ts';
import { qualifiedNameErrors } from '../../machinery/names.ts';
import { immutable, requiredName, requiredOneOf } from '../field-checks.ts';
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
  validate: (event, old) => (old === undefined ? validateNew(event) : validateChange(event, old)),
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

const maxWord = 128;
const maxNote = 1024;

/** New events of this version say who reports and what was done; the older names are only for reading. Follows `ValidateEventCreate`. */
function validateNew(event: types.EventsV1Event): FieldError[] {
  const { reportingController = '', reportingInstance = '', action = '', reason = '', note = '', series } = event;
  const errors: FieldError[] = [];
  if ((event.eventTime ?? '') === '') errors.push(required('eventTime'));
  errors.push(
    ...requiredOneOf('type', event.type, ['Normal', 'Warning']),
    ...requiredName('reportingController', reportingController, qualifiedNameErrors),
    ...word('reportingInstance', reportingInstance),
    ...word('action', action),
    ...word('reason', reason),
  );
  if (Buffer.byteLength(note) > maxNote) errors.push(invalidValue('note', '', `can have at most ${maxNote} characters`));
  for (const [field, value] of Object.entries(event)) {
    const isSet = value !== undefined && value !== 0 && !(typeof value === 'object' && Object.keys(value).length === 0);
    if (field.startsWith('deprecated') && isSet) errors.push(invalidValue(coreNames[field] ?? field, value, 'needs to be unset'));
  }
  if (series !== undefined) {
    if (series.count < 2) errors.push(invalidValue('series.count', series.count, 'should be at least 2'));
    if (series.lastObservedTime === '') errors.push(required('series.lastObservedTime'));
  }
  return errors;
}

const coreNames: Readonly<Record<string, string>> = {
  deprecatedCount: 'count',
  deprecatedFirstTimestamp: 'firstTimestamp',
  deprecatedLastTimestamp: 'lastTimestamp',
  deprecatedSource: 'source',
};

function word(field: string, text: string): FieldError[] {
  if (text === '') return [required(field)];
  return Buffer.byteLength(text) > maxWord ? [invalidValue(field, '', `can have at most ${maxWord} characters`)] : [];
}

/** It may be said that it happened again; what happened is said. */
function validateChange(event: types.EventsV1Event, old: types.EventsV1Event): FieldError[] {
  const fixed = ['regarding', 'reason', 'action', 'type', 'note', 'reportingController', 'reportingInstance', 'related', 'eventTime'] as const;
  return fixed.flatMap((field) => immutable(field, event[field], old[field]));
}
