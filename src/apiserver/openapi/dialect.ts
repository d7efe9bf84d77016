/** Where OpenAPI 2 and 3 say the same thing differently. */
export interface Dialect {
  readonly version: 2 | 3;
  /** A reference to a definition, with what is said about it at this place. */
  reference(name: string, description: string | undefined): object;
  parameter(parameter: ParameterFacts): object;
  body(schema: object | undefined, mediaTypes: readonly string[]): { parameter?: object; requestBody?: object };
  response(schema: object, mediaTypes: readonly string[]): object;
}

export interface ParameterFacts {
  readonly name: string;
  readonly in: 'query' | 'path';
  readonly type: 'string' | 'integer' | 'boolean';
  readonly description: string;
}

export const openApi2: Dialect = {
  version: 2,
  reference: (name, description) => ({ ...(description !== undefined && { description }), $ref: `#/definitions/${name}` }),
  parameter: ({ type, in: place, ...rest }) => ({ ...rest, in: place, type, uniqueItems: true, ...(place === 'path' && { required: true }) }),
  body: (schema) => (schema === undefined ? {} : { parameter: { in: 'body', name: 'body', required: true, schema } }),
  response: (schema) => ({ description: 'OK', schema }),
};

export const openApi3: Dialect = {
  version: 3,
  reference: (name, description) => {
    const $ref = `#/components/schemas/${name}`;
    return description === undefined ? { $ref } : { description, default: {}, allOf: [{ $ref }] };
  },
  parameter: ({ type, in: place, ...rest }) => ({
    ...rest,
    in: place,
    ...(place === 'path' && { required: true }),
    schema: { type, uniqueItems: true },
  }),
  body: (schema, mediaTypes) => (schema === undefined ? {} : { requestBody: { content: contentOf(schema, mediaTypes), required: true } }),
  response: (schema, mediaTypes) => ({ description: 'OK', content: contentOf(schema, mediaTypes) }),
};

function contentOf(schema: object, mediaTypes: readonly string[]): object {
  return Object.fromEntries(mediaTypes.map((mediaType) => [mediaType, { schema }]));
}
