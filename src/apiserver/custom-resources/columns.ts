/** Columns of a custom kind's tables, from its definition's JSON paths. Without any, upstream shows name and age. */
import type { Column } from '../../api/kind.ts';
import { ageOf, nameColumn } from '../../api/columns.ts';
import type { V1CustomResourceColumnDefinition } from '../../api/types.ts';
import { compilePath, printValue } from '../../machinery/jsonpath.ts';
import type { KubeObject } from '../../machinery/object.ts';
import { parseTime } from '../../machinery/time.ts';

const age: V1CustomResourceColumnDefinition = {
  name: 'Age',
  type: 'date',
  jsonPath: '.metadata.creationTimestamp',
  description: 'How long ago the object was created.',
};

export function columnsOf(definitions: readonly V1CustomResourceColumnDefinition[] | undefined): readonly Column<KubeObject>[] {
  const shown = definitions === undefined || definitions.length === 0 ? [age] : definitions;
  return [nameColumn, ...shown.map((definition) => columnOf(definition))];
}

function columnOf({ name, type, format, description, priority, jsonPath }: V1CustomResourceColumnDefinition): Column<KubeObject> {
  const find = compilePath(jsonPath);
  return {
    name,
    type: typeNamed(type),
    ...(format !== undefined && { format }),
    ...(priority !== undefined && { priority }),
    description: description ?? `Custom resource definition column (in JSONPath format): ${jsonPath}`,
    value(object, nowMs) {
      // A path leads to one value; of more the first is shown.
      const [value] = find(object);
      return value === undefined || value === null ? null : cellOf(value, type, nowMs);
    },
  };
}

function typeNamed(type: string): Column<KubeObject>['type'] {
  return type === 'integer' || type === 'number' || type === 'boolean' || type === 'date' ? type : 'string';
}

function cellOf(value: unknown, type: string, nowMs: number): string | number | boolean | null {
  switch (type) {
    case 'integer':
      return typeof value === 'number' ? Math.trunc(value) : null;
    case 'number':
      return typeof value === 'number' ? value : null;
    case 'boolean':
      return typeof value === 'boolean' ? value : null;
    case 'date':
      if (typeof value !== 'string') return null;
      return Number.isNaN(parseTime(value)) ? '<invalid>' : ageOf(value, nowMs);
    default:
      return printValue(value);
  }
}
