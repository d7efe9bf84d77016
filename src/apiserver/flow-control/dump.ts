/** What flow control is doing right now, for people: `/debug/api_priority_and_fairness/dump_*`, tables with commas as upstream prints them. */
import { microTimestamp } from '../../world/world.ts';
import type { Attributes } from '../authorization/authorizer.ts';
import { type Paths, textAnswer } from '../http/paths.ts';
import type { FlowControl } from './flow-control.ts';
import type { PriorityLevel, WaitingRequest } from './priority-level.ts';

const prefix = '/debug/api_priority_and_fairness';

export function addFlowControlDumps(paths: Paths, flowControl: FlowControl): void {
  paths.add(`${prefix}/dump_priority_levels`, () => textAnswer(table(levelColumns, levelRows(flowControl))));
  paths.add(`${prefix}/dump_queues`, () => textAnswer(table(queueColumns, queueRows(flowControl))));
  paths.add(`${prefix}/dump_requests`, ({ query }) => {
    const withDetails = ['1', 'true'].includes(query.get('includeRequestDetails') ?? '');
    return textAnswer(table(withDetails ? [...requestColumns, ...detailColumns] : requestColumns, requestRows(flowControl, withDetails)));
  });
}

const levelColumns = [
  'PriorityLevelName',
  'ActiveQueues',
  'IsIdle',
  'IsQuiescing',
  'WaitingRequests',
  'ExecutingRequests',
  'DispatchedRequests',
  'RejectedRequests',
  'TimedoutRequests',
  'CancelledRequests',
];

const queueColumns = ['PriorityLevelName', 'Index', 'PendingRequests', 'SeatsPending', 'NextDispatchR'];

const requestColumns = ['PriorityLevelName', 'FlowSchemaName', 'QueueIndex', 'RequestIndexInQueue', 'FlowDistingsher', 'ArriveTime', 'InitialSeats'];

const detailColumns = ['UserName', 'Verb', 'APIPath', 'Namespace', 'Name', 'APIVersion', 'Resource', 'SubResource'];

type Row = readonly (string | number | boolean)[];

function levelRows(flowControl: FlowControl): Row[] {
  return sorted(flowControl).map((level) => {
    const active = level.waitingByQueue().filter((waiting) => waiting.length > 0).length;
    const { executing, waiting, dispatched, rejected, timedOut } = level;
    return [level.settings.name, active, executing + waiting === 0, false, waiting, executing, dispatched, rejected, timedOut, 0];
  });
}

function queueRows(flowControl: FlowControl): Row[] {
  return sorted(flowControl).flatMap((level) => {
    const starts = level.virtualStarts();
    return level.waitingByQueue().map((waiting, index): Row => {
      const seats = waiting.reduce((sum, request) => sum + request.seats, 0);
      return [level.settings.name, index, waiting.length, seats, `${starts[index] ?? 0}ss`];
    });
  });
}

function requestRows(flowControl: FlowControl, withDetails: boolean): Row[] {
  return sorted(flowControl).flatMap((level) =>
    level.waitingByQueue().flatMap((waiting, queue) =>
      waiting.map((request, index): Row => {
        const { schema, distinguisher, arrivedMs, seats } = request;
        return [level.settings.name, schema, queue, index, distinguisher, microTimestamp(arrivedMs), seats, ...(withDetails ? details(request) : [])];
      }),
    ),
  );
}

function details({ about }: WaitingRequest): Row {
  // Exchanges wait with the attributes of what they ask.
  const { user, verb, path, namespace, name, group, version, resource, subresource } = about as Attributes;
  return [user.name, verb, path, namespace, name, group === '' ? version : `${group}/${version}`, resource, subresource];
}

function sorted(flowControl: FlowControl): PriorityLevel[] {
  return [...flowControl.allLevels()].toSorted((a, b) => (a.settings.name < b.settings.name ? -1 : 1));
}

/** Columns of equal width, each but the last followed by a comma. */
function table(columns: readonly string[], rows: readonly Row[]): string {
  const lines = [columns, ...rows.map((row) => row.map((value) => escaped(String(value))))];
  const widths = columns.map((_, column) => Math.max(...lines.map((line) => (line[column] ?? '').length)) + 2);
  return lines
    .map((line) => line.map((value, column) => (column === line.length - 1 ? value : `${value},`.padEnd(widths[column] ?? 0))).join(''))
    .map((line) => `${line}\n`)
    .join('');
}

/** A name is a client's own: it must not look like another column or row. */
function escaped(value: string): string {
  return /[",\s]/.test(value) ? JSON.stringify(value) : value;
}
