/**
 * Schemas of the built-in kinds: the generated model (`generated/schema.json`) joined with what that model leaves out (`merge-facts.ts`). Each model is
 * resolved when it is first asked for, and again holds the models inside it unresolved, so that starting costs nothing and recursion ends.
 */
import type { ListSchema, ObjectSchema, Property, Schema } from '../machinery/schema.ts';
import compact from './generated/schema.json' with { type: 'json' };
import { atomicMaps, atomicModels, fieldMerges, granularFields, quantities, type FieldMerge } from './merge-facts.ts';

/** Fields as words: `[]V1Container!` is a required list of containers, `{}string` a map of strings. */
interface CompactModel {
  readonly name: string;
  readonly fields: Readonly<Record<string, string>>;
}

const models: Readonly<Record<string, CompactModel | undefined>> = compact;
const resolved = new Map<string, ObjectSchema>();

/** The schema of a generated interface, by its name: `schemaOf('V1Pod')`. Throws for a name that is not there. */
export function schemaOf(model: string): ObjectSchema {
  const known = resolved.get(model);
  if (known !== undefined) return known;
  const schema = new ModelSchema(model, dataOf(model), atomicModels.has(model) ? 'atomic' : 'granular');
  resolved.set(model, schema);
  return schema;
}

function dataOf(model: string): CompactModel {
  const data = models[model];
  if (data === undefined) throw new Error(`no model is called ${model}`);
  return data;
}

/** Names of all models, for OpenAPI. */
export function modelNames(): string[] {
  return Object.keys(models);
}

class ModelSchema implements ObjectSchema {
  readonly type = 'object';
  readonly name: string;
  readonly mapType: 'granular' | 'atomic';
  readonly preserveUnknown = false;
  private readonly model: string;
  private readonly fields: Readonly<Record<string, string>>;
  private resolvedProperties: Readonly<Record<string, Property>> | undefined;

  constructor(model: string, data: CompactModel, mapType: 'granular' | 'atomic') {
    this.name = data.name;
    this.mapType = mapType;
    this.model = model;
    this.fields = data.fields;
  }

  get properties(): Readonly<Record<string, Property>> {
    this.resolvedProperties ??= Object.fromEntries(
      Object.entries(this.fields).map(([field, word]) => [field, propertyOf(`${this.model}.${field}`, word)]),
    );
    return this.resolvedProperties;
  }
}

function propertyOf(path: string, word: string): Property {
  const merge = fieldMerges[path];
  const required = word.endsWith('!');
  return {
    schema: schemaOfWord(required ? word.slice(0, -1) : word, path, merge),
    required,
    patchStrategy: merge?.patchStrategy ?? [],
    ...(merge?.mergeKey !== undefined && { mergeKey: merge.mergeKey }),
  };
}

function schemaOfWord(word: string, path: string, merge: FieldMerge | undefined): Schema {
  if (word.startsWith('[]')) return listOf(schemaOfWord(word.slice(2), path, undefined), merge);
  if (word.startsWith('{}'))
    return { type: 'map', values: schemaOfWord(word.slice(2), path, undefined), mapType: atomicMaps.has(path) ? 'atomic' : 'granular' };
  switch (word) {
    case 'string':
      return { type: quantities.has(path) ? 'quantity' : 'string' };
    case 'int32':
    case 'int64':
      return { type: 'integer', format: word };
    case 'double':
      return { type: 'number', format: word };
    case 'number':
    case 'boolean':
    case 'time':
    case 'micro-time':
    case 'bytes':
    case 'int-or-string':
    case 'any':
      return { type: word };
    default:
      return granularFields.has(path) ? new ModelSchema(word, dataOf(word), 'granular') : schemaOf(word);
  }
}

function listOf(items: Schema, merge: FieldMerge | undefined): ListSchema {
  return { type: 'list', items, listType: merge?.listType ?? 'atomic', mapKeys: merge?.mapKeys ?? [] };
}
