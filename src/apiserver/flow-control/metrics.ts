/** What flow control tells about itself, under upstream's names. */
import type { FlowControl } from './flow-control.ts';
import type { PriorityLevel } from './priority-level.ts';

interface Family {
  readonly name: string;
  readonly type: 'counter' | 'gauge';
  readonly help: string;
  readonly value: (level: PriorityLevel) => number;
}

const families: readonly Family[] = [
  { name: 'dispatched_requests_total', type: 'counter', help: 'Requests let in.', value: ({ dispatched }) => dispatched },
  { name: 'rejected_requests_total', type: 'counter', help: 'Requests refused.', value: ({ rejected }) => rejected },
  { name: 'current_inqueue_requests', type: 'gauge', help: 'Requests waiting.', value: ({ waiting }) => waiting },
  { name: 'current_executing_requests', type: 'gauge', help: 'Requests being worked on.', value: ({ inUse }) => inUse },
  { name: 'nominal_limit_seats', type: 'gauge', help: 'Seats of the level.', value: ({ settings }) => settings.seats },
];

export function flowControlMetrics(flowControl: FlowControl): string[] {
  const levels = [...flowControl.allLevels()];
  return families.flatMap(({ name, type, help, value }) => [
    `# HELP apiserver_flowcontrol_${name} ${help}`,
    `# TYPE apiserver_flowcontrol_${name} ${type}`,
    ...levels.map((level) => `apiserver_flowcontrol_${name}{priority_level="${level.settings.name}"} ${value(level)}`),
  ]);
}
