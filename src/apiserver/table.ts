/**
 * Tables: what the server answers when a client asks for rows to print instead of objects, from the columns each kind declares.
 * See https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-tables
 */
import { nameAndAge } from '../api/columns.ts';
import type { Column, Kind } from '../api/kind.ts';
import { badRequest } from '../machinery/errors.ts';
import type { KubeObject } from '../machinery/object.ts';

export type IncludeObject = 'None' | 'Metadata' | 'Object';

export interface TableOptions {
  readonly includeObject: IncludeObject;
  /** Of `meta.k8s.io`. */
  readonly version: 'v1' | 'v1beta1';
  readonly nowMs: number;
}

export interface Table {
  readonly kind: 'Table';
  readonly apiVersion: string;
  readonly metadata: object;
  readonly columnDefinitions: readonly ColumnDefinition[] | null;
  readonly rows: readonly TableRow[];
}

export interface ColumnDefinition {
  readonly name: string;
  readonly type: string;
  readonly format: string;
  readonly description: string;
  readonly priority: number;
}

export interface TableRow {
  readonly cells: readonly (string | number | boolean | null)[];
  readonly object: object | null;
}

export function includeObjectOf(query: URLSearchParams): IncludeObject {
  const value = query.get('includeObject') ?? '';
  if (value === '') return 'Metadata';
  if (value === 'None' || value === 'Metadata' || value === 'Object') return value;
  throw badRequest(`unrecognized includeObject value: "${value}"`);
}

/** `metadata` is the list's, or `{ resourceVersion }` of a single object. */
export function tableOf(kind: Pick<Kind, 'columns'>, objects: readonly KubeObject[], metadata: object, options: TableOptions): Table {
  const columns = columnsOf(kind);
  return {
    kind: 'Table',
    apiVersion: `meta.k8s.io/${options.version}`,
    metadata,
    columnDefinitions: columns.map(({ name, type, format, description, priority }) => ({
      name,
      type,
      format: format ?? '',
      description,
      priority: priority ?? 0,
    })),
    rows: objects.map((object) => ({
      cells: columns.map((column) => cellOf(column, object, options.nowMs)),
      object: rowObject(object, options),
    })),
  };
}

/** `PartialObjectMetadata`: an object without anything but its metadata. */
export function metadataOnly(object: KubeObject, version: 'v1' | 'v1beta1'): object {
  return { kind: 'PartialObjectMetadata', apiVersion: `meta.k8s.io/${version}`, metadata: object.metadata };
}

function rowObject(object: KubeObject, { includeObject, version }: TableOptions): object | null {
  switch (includeObject) {
    case 'None':
      return null;
    case 'Metadata':
      return metadataOnly(object, version);
    case 'Object':
      return object;
  }
}

function cellOf(column: Column<KubeObject>, object: KubeObject, nowMs: number): string | number | boolean | null {
  const value = column.value(object, nowMs);
  if (value !== undefined) return value;
  if (column.type === 'date') return '<unknown>';
  return column.type === 'string' ? '<none>' : null;
}

function columnsOf(kind: Pick<Kind, 'columns'>): readonly Column<KubeObject>[] {
  return kind.columns.length === 0 ? nameAndAge : kind.columns;
}
