/** What the kinds' Table columns share: ages, lists that end in an ellipsis, and the plain Name and Age. Follows upstream's printers. */
import { humanDuration } from '../machinery/duration.ts';
import type { KubeObject } from '../machinery/object.ts';
import { parseTime } from '../machinery/time.ts';
import type { Column } from './kind.ts';
import type { V1Container, V1LabelSelector, V1PodTemplateSpec } from './types.ts';

export const nameColumn: Column<KubeObject> = {
  name: 'Name',
  type: 'string',
  format: 'name',
  description: 'What the object is called; unique among objects of its kind in a namespace.',
  value: (object) => object.metadata.name,
};

export const ageColumn: Column<KubeObject> = {
  name: 'Age',
  type: 'string',
  description: 'How long ago the object was created.',
  value: (object, nowMs) => ageOf(object.metadata.creationTimestamp, nowMs),
};

export const nameAndAge: readonly Column<KubeObject>[] = [nameColumn, ageColumn];

/** `5m`, or `<unknown>` for a time that is not there. */
export function ageOf(time: string | undefined, nowMs: number): string {
  return time === undefined || time === '' ? '<unknown>' : humanDuration(nowMs - parseTime(time));
}

/** For kinds upstream gives no printer: Name and Created At. */
export const nameAndCreation: readonly Column<KubeObject>[] = [
  nameColumn,
  {
    name: 'Created At',
    type: 'date',
    description: 'When the object was created.',
    value: (object) => object.metadata.creationTimestamp,
  },
];

interface ColumnOptions {
  readonly type?: Column<KubeObject>['type'];
  readonly format?: string;
  /** Shown with `-o wide` only. */
  readonly wide?: boolean;
}

export function column<T extends KubeObject>(name: string, description: string, value: Column<T>['value'], options: ColumnOptions = {}): Column<T> {
  return {
    name,
    type: options.type ?? 'string',
    description,
    value,
    ...(options.format !== undefined && { format: options.format }),
    ...(options.wide === true && { priority: 1 }),
  };
}

const none = '<none>';

/** `a,b`, or `<none>`. */
export function listed(words: readonly string[] | undefined): string {
  return words === undefined || words.length === 0 ? none : words.join(',');
}

/** `app=web,tier=front`, by key, or `<none>`. */
export function labelsText(map: Readonly<Record<string, string>> | undefined): string {
  return listed(
    Object.entries(map ?? {})
      .map(([key, value]) => `${key}=${value}`)
      .toSorted(),
  );
}

/** A label selector as it would be typed: `app=web,tier in (back,front)`. `<none>` when it selects everything. */
export function selectorText(selector: V1LabelSelector | undefined): string {
  if (selector === undefined) return none;
  const words = Object.entries(selector.matchLabels ?? {}).map(([key, value]): [string, string] => [key, `${key}=${value}`]);
  for (const { key, operator, values } of selector.matchExpressions ?? []) {
    const list = `(${(values ?? []).toSorted().join(',')})`;
    if (operator === 'In') words.push([key, `${key} in ${list}`]);
    else if (operator === 'NotIn') words.push([key, `${key} notin ${list}`]);
    else words.push([key, operator === 'Exists' ? key : `!${key}`]);
  }
  return listed(words.toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)).map(([, text]) => text));
}

/** The wide columns of everything that makes pods: names and images of the template's containers. */
export function containerColumns<T extends KubeObject>(
  template: (object: T) => V1PodTemplateSpec | undefined,
  options: ColumnOptions = { wide: true },
): Column<T>[] {
  const containers = (object: T): V1Container[] => template(object)?.spec?.containers ?? [];
  return [
    column<T>(
      'Containers',
      'Names of the containers in the pod template.',
      (object) =>
        containers(object)
          .map(({ name }) => name)
          .join(','),
      options,
    ),
    column<T>(
      'Images',
      'Images of the containers in the pod template.',
      (object) =>
        containers(object)
          .map(({ image }) => image ?? '')
          .join(','),
      options,
    ),
  ];
}
