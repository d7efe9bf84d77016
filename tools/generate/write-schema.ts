/**
 * Writes the model as data. `schema.json` is read at every start, so it has one short word per field (`"containers": "[]V1Container!"`) and no prose;
 * `src/api/schemas.ts` reads it. Descriptions and operations are read when someone asks for OpenAPI.
 */
import type { FieldType, Model } from './read-models.ts';

export function writeSchema(models: readonly Model[], names: ReadonlyMap<string, string>): string {
  const entries = models.map((model) => [
    model.name,
    {
      name: names.get(model.name),
      fields: Object.fromEntries(model.fields.map((field) => [field.name, `${wordOf(field.type)}${field.required ? '!' : ''}`])),
    },
  ]);
  return JSON.stringify(Object.fromEntries(entries));
}

function wordOf(type: FieldType): string {
  switch (type.of) {
    case 'scalar':
      return type.scalar;
    case 'model':
      return type.model;
    case 'list':
      return `[]${wordOf(type.items)}`;
    case 'map':
      return `{}${wordOf(type.items)}`;
  }
}

/** By definition name: the definition's own text under '', its fields' under theirs. */
export function writeDescriptions(models: readonly Model[], names: ReadonlyMap<string, string>): string {
  const entries = models.map((model) => [
    names.get(model.name),
    Object.fromEntries([['', model.description], ...model.fields.map((field) => [field.name, field.description])].filter(([, text]) => text !== '')),
  ]);
  return JSON.stringify(Object.fromEntries(entries));
}
