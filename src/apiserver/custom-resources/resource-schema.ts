/** A custom kind's schema as the rest of the server knows schemas: what server-side apply merges by. */
import { schemaOf } from '../../api/schemas.ts';
import type { ListSchema, ObjectSchema, Property, Schema } from '../../machinery/schema.ts';
import type { Structure } from './structure.ts';

const text: Schema = { type: 'string' };
const any: Schema = { type: 'any' };

export function resourceSchema(root: Structure): ObjectSchema {
  return wholeObject(root);
}

function wholeObject(structure: Structure): ObjectSchema {
  const plain = (schema: Schema): Property => ({ schema, required: false, patchStrategy: [] });
  return {
    ...objectSchema(structure),
    properties: { ...propertiesOf(structure), apiVersion: plain(text), kind: plain(text), metadata: plain(schemaOf('V1ObjectMeta')) },
  };
}

function schemaAt(structure: Structure): Schema {
  if (structure.isEmbedded) return wholeObject(structure);
  if (structure.isIntOrString) return { type: 'int-or-string' };
  switch (structure.type) {
    case 'string':
    case 'integer':
    case 'number':
    case 'boolean':
      return { type: structure.type };
    case 'array':
      return listSchema(structure);
    case 'object': {
      const { additional, properties } = structure;
      if (additional !== undefined && properties.size === 0) {
        return { type: 'map', values: additional === 'anything' ? any : schemaAt(additional), mapType: mapTypeOf(structure) };
      }
      return objectSchema(structure);
    }
    default:
      return any;
  }
}

function objectSchema(structure: Structure): ObjectSchema {
  return {
    type: 'object',
    name: '',
    properties: propertiesOf(structure),
    mapType: mapTypeOf(structure),
    preserveUnknown: structure.preservesUnknown,
  };
}

function mapTypeOf({ props }: Structure): 'granular' | 'atomic' {
  return props['x-kubernetes-map-type'] === 'atomic' ? 'atomic' : 'granular';
}

function propertiesOf({ properties, props }: Structure): Record<string, Property> {
  const required = new Set(props.required);
  return Object.fromEntries(
    [...properties].map(([name, structure]) => {
      const { default: fallback } = structure.props;
      const scalar = typeof fallback === 'string' || typeof fallback === 'number' || typeof fallback === 'boolean' ? { default: fallback } : {};
      return [name, { schema: schemaAt(structure), required: required.has(name), patchStrategy: [], ...scalar } satisfies Property];
    }),
  );
}

function listSchema({ props, items }: Structure): ListSchema {
  const listType = props['x-kubernetes-list-type'];
  return {
    type: 'list',
    items: items ? schemaAt(items) : any,
    listType: listType === 'set' || listType === 'map' ? listType : 'atomic',
    mapKeys: props['x-kubernetes-list-map-keys'] ?? [],
  };
}
