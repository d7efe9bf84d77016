/** Writes the TypeScript interfaces: the objects as they are on the wire, described as upstream describes them. */
import type { Field, FieldType, Model, Scalar } from './read-models.ts';
import type { ServedKind } from './read-operations.ts';

const scalars: Readonly<Record<Scalar, string>> = {
  string: 'string',
  int32: 'number',
  int64: 'number',
  double: 'number',
  number: 'number',
  boolean: 'boolean',
  time: 'string',
  'micro-time': 'string',
  bytes: 'string',
  'int-or-string': 'number | string',
  any: 'unknown',
};

export function writeTypes(models: readonly Model[], kinds: readonly ServedKind[]): string {
  const namespacedByModel = new Map(kinds.map((kind) => [kind.model, kind.namespaced]));
  const lines = [
    '/** Generated from the published model of Kubernetes by `npm run generate`. Not edited, not committed. */',
    "import type { NamespacedObjectMeta, ObjectMeta } from '../../machinery/object.ts';",
    '',
  ];
  for (const model of models) lines.push(...interfaceOf(model, namespacedByModel.get(model.name)), '');
  return lines.join('\n');
}

/** `namespaced` is undefined for what is not a kind. */
function interfaceOf(model: Model, namespaced: boolean | undefined): string[] {
  return [
    ...commentOf(model.description, ''),
    `export interface ${model.name} {`,
    ...model.fields.flatMap((field) => propertyOf(field, namespaced)),
    '}',
  ];
}

/** What the server always fills in is never absent on a kind. */
const alwaysThere: readonly string[] = ['apiVersion', 'kind', 'metadata', 'spec', 'status'];

function propertyOf(field: Field, namespaced: boolean | undefined): string[] {
  const isKind = namespaced !== undefined;
  const isMetadata = field.name === 'metadata' && field.type.of === 'model' && field.type.model === 'V1ObjectMeta';
  const type = isKind && isMetadata ? (namespaced ? 'NamespacedObjectMeta' : 'ObjectMeta') : typeOf(field.type);
  const mark = field.required || (isKind && alwaysThere.includes(field.name)) ? '' : '?';
  const name = /^\w+$/.test(field.name) ? field.name : JSON.stringify(field.name);
  return [...commentOf(field.description, '  '), `  ${name}${mark}: ${type};`];
}

function typeOf(type: FieldType): string {
  switch (type.of) {
    case 'scalar':
      return scalars[type.scalar];
    case 'model':
      return type.model;
    case 'list':
      return `Array<${typeOf(type.items)}>`;
    case 'map':
      return `Record<string, ${typeOf(type.items)}>`;
  }
}

function commentOf(text: string, indent: string): string[] {
  return text === '' ? [] : [`${indent}/** ${text.replaceAll('*/', '*\\/').replaceAll('\n', `\n${indent} * `)} */`];
}
