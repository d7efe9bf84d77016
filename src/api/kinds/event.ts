/** Event (core/v1): what happened to an object. Expires an hour after it was last written. */
import { humanDuration } from '../../machinery/duration.ts';
import { invalidValue, type FieldError } from '../../machinery/field-error.ts';
import { parseTime } from '../../machinery/time.ts';
import { column, nameColumn } from '../columns.ts';
import { defineKind } from '../define-kind.ts';
import type { Column, Kind } from '../kind.ts';
import type { CoreV1Event } from '../types.ts';

export type Event = CoreV1Event;

/** How long events are kept, as upstream's `--event-ttl` has it. */
export const eventTtlSeconds = 3600;

export const eventColumns: readonly Column<CoreV1Event>[] = [
  column('Last Seen', 'How long ago it happened last.', (event, nowMs) => agoText(lastSeen(event), nowMs)),
  column('Type', 'Normal or Warning.', ({ type }) => type ?? ''),
  column('Reason', 'What happened, in one word.', ({ reason }) => reason ?? ''),
  column('Object', 'What it happened to.', ({ involvedObject: { kind = '', name = '' } }) =>
    name === '' ? kind.toLowerCase() : `${kind.toLowerCase()}/${name}`,
  ),
  column('Subobject', 'The part of the object concerned.', ({ involvedObject }) => involvedObject.fieldPath ?? '', { wide: true }),
  column('Source', 'Who says so.', sourceText, { wide: true }),
  column('Message', 'What happened, in words.', ({ message }) => (message ?? '').trim()),
  column('First Seen', 'How long ago it happened first.', (event, nowMs) => agoText(firstSeen(event), nowMs), { wide: true }),
  column('Count', 'How often it happened.', ({ series, count }) => series?.count ?? (count || 1), { wide: true }),
  { ...nameColumn, priority: 1 },
];

export const Event: Kind<CoreV1Event> = defineKind<CoreV1Event>({
  kind: 'Event',
  resource: 'events',
  model: 'CoreV1Event',
  shortNames: ['ev'],
  ttlSeconds: eventTtlSeconds,
  defaults(event) {
    event.source ??= {};
    event.involvedObject ??= {};
    event.reportingComponent ??= '';
    event.reportingInstance ??= '';
  },
  validate: validateEvent,
  selectableFields: {
    'involvedObject.kind': ({ involvedObject }) => involvedObject.kind ?? '',
    'involvedObject.namespace': ({ involvedObject }) => involvedObject.namespace ?? '',
    'involvedObject.name': ({ involvedObject }) => involvedObject.name ?? '',
    'involvedObject.uid': ({ involvedObject }) => involvedObject.uid ?? '',
    'involvedObject.apiVersion': ({ involvedObject }) => involvedObject.apiVersion ?? '',
    'involvedObject.resourceVersion': ({ involvedObject }) => involvedObject.resourceVersion ?? '',
    'involvedObject.fieldPath': ({ involvedObject }) => involvedObject.fieldPath ?? '',
    reason: ({ reason }) => reason ?? '',
    reportingComponent: ({ reportingComponent }) => reportingComponent ?? '',
    source: ({ source, reportingComponent }) => source?.component || (reportingComponent ?? ''),
    type: ({ type }) => type ?? '',
  },
  columns: eventColumns,
});

function firstSeen({ firstTimestamp, eventTime }: CoreV1Event): string | undefined {
  return firstTimestamp ?? eventTime;
}

function lastSeen(event: CoreV1Event): string | undefined {
  return event.series?.lastObservedTime ?? event.lastTimestamp ?? firstSeen(event);
}

function agoText(time: string | undefined, nowMs: number): string {
  return time === undefined ? '<unknown>' : humanDuration(nowMs - parseTime(time));
}

function sourceText({ source, reportingComponent, reportingInstance }: CoreV1Event): string {
  const component = source?.component || (reportingComponent ?? '');
  const host = source?.host || (reportingInstance ?? '');
  return host === '' ? component : `${component}, ${host}`;
}

function validateEvent({ metadata, involvedObject }: CoreV1Event): FieldError[] {
  const about = involvedObject.namespace ?? '';
  // What happens to an object without a namespace is told in `default`.
  const fits = about === '' ? metadata.namespace === 'default' || metadata.namespace === 'kube-system' : about === metadata.namespace;
  return fits ? [] : [invalidValue('involvedObject.namespace', about, 'does not match event.namespace')];
}
