/**
 * Reads the published model of `@kubernetes/client-node`: what fields each class has, in which type, which are required, and what they are for.
 * Types come from `attributeTypeMap` in the `.js` files, required marks and descriptions from the `.d.ts` files.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Field {
  /** As on the wire. */
  readonly name: string;
  readonly type: FieldType;
  readonly required: boolean;
  readonly description: string;
}

export type FieldType =
  | { readonly of: 'scalar'; readonly scalar: Scalar }
  | { readonly of: 'model'; readonly model: string }
  | { readonly of: 'list' | 'map'; readonly items: FieldType };

/** `any` is JSON of any shape. Quantities cannot be told from strings here: `src/api/merge-facts.ts` names them. */
export type Scalar = 'string' | 'int32' | 'int64' | 'double' | 'number' | 'boolean' | 'time' | 'micro-time' | 'bytes' | 'int-or-string' | 'any';

export interface Model {
  readonly name: string;
  readonly description: string;
  readonly fields: readonly Field[];
}

interface Attribute {
  readonly name: string;
  readonly baseName: string;
  readonly type: string;
  readonly format: string;
}

/** All classes of the folder whose name has a version that is neither alpha nor beta. */
export function readModels(folder: string): Map<string, Model> {
  const models = new Map<string, Model>();
  for (const file of readdirSync(folder).toSorted()) {
    const name = /^([A-Za-z]*V\d+[A-Z]\w*)\.js$/.exec(file)?.[1];
    if (name === undefined) continue;
    const attributes = attributesOf(readFileSync(join(folder, file), 'utf8'));
    if (attributes !== undefined) models.set(name, readModel(name, attributes, readFileSync(join(folder, `${name}.d.ts`), 'utf8')));
  }
  return models;
}

function attributesOf(source: string): Attribute[] | undefined {
  const start = source.indexOf('.attributeTypeMap = [');
  if (start < 0) return undefined;
  const list = source.slice(source.indexOf('[', start));
  return JSON.parse(list.slice(0, list.indexOf('];') + 1)) as Attribute[];
}

function readModel(name: string, attributes: readonly Attribute[], declaration: string): Model {
  const body = declaration.slice(declaration.indexOf(`export declare class ${name} `));
  const declared = new Map<string, { required: boolean; description: string }>();
  for (const [, comment, field, optional] of body.matchAll(/(?:\/\*\*\n((?:(?!\*\/).)*)\*\/\n)?    '([^']+)'(\?)?:/gs)) {
    declared.set(field ?? '', { required: optional === undefined, description: proseOf(comment) });
  }
  const heading = /\/\*\*\n((?:(?!\*\/).)*)\*\/\nexport declare class /s.exec(declaration)?.[1];
  const fields = attributes.map((attribute): Field => {
    const found = declared.get(attribute.name);
    if (found === undefined) throw new Error(`${name}.${attribute.name} has a type but no declaration`);
    return { name: attribute.baseName, type: typeOf(attribute.type, attribute.format), ...found };
  });
  return { name, description: proseOf(heading), fields };
}

/** A documentation comment's text without stars, escapes and entities. */
export function proseOf(comment: string | undefined): string {
  if (comment === undefined) return '';
  return comment
    .split('\n')
    .map((line) => line.replace(/^\s*\* ?/, ''))
    .join('\n')
    .trim()
    .replaceAll(/\\(["'&])/g, '$1')
    .replaceAll('&#39;', "'")
    .replaceAll('&#x60;', '`')
    .replaceAll('&#x3D;', '=')
    .replaceAll('&quot;', '"')
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&amp;', '&');
}

function typeOf(type: string, format: string): FieldType {
  const list = /^Array<(.*)>$/.exec(type)?.[1];
  if (list !== undefined) return { of: 'list', items: typeOf(list, format) };
  const map = /^\{ \[key: string\]: (.*?);? \}$/.exec(type)?.[1];
  if (map !== undefined) return { of: 'map', items: typeOf(map, format) };
  switch (type) {
    case 'string':
      return { of: 'scalar', scalar: format === 'byte' ? 'bytes' : 'string' };
    case 'number':
      return { of: 'scalar', scalar: format === 'int32' || format === 'int64' || format === 'double' ? format : 'number' };
    case 'boolean':
    case 'any':
      return { of: 'scalar', scalar: type };
    case 'object':
      return { of: 'scalar', scalar: 'any' };
    case 'IntOrString':
      return { of: 'scalar', scalar: 'int-or-string' };
    case 'Date':
      return { of: 'scalar', scalar: 'time' };
    case 'V1MicroTime':
      return { of: 'scalar', scalar: 'micro-time' };
    default:
      return { of: 'model', model: type };
  }
}

/** The class a type leads to, through lists and maps; undefined for scalars. */
export function modelIn(type: FieldType): string | undefined {
  if (type.of === 'scalar') return undefined;
  return type.of === 'model' ? type.model : modelIn(type.items);
}
