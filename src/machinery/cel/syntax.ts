/** The syntax tree of an expression. Operators are calls of functions with CEL's own names for them (`_+_`); macros are taken apart by the parser. */

interface Node {
  /** Where in the text errors point to. */
  readonly offset: number;
}

export type Expr = Literal | Identifier | Select | Call | ListLiteral | MapLiteral | ObjectLiteral | Comprehension | Binding;

export interface Literal extends Node {
  readonly type: 'literal';
  readonly value: unknown;
}

export interface Identifier extends Node {
  readonly type: 'identifier';
  readonly name: string;
}

export interface Select extends Node {
  readonly type: 'select';
  readonly operand: Expr;
  readonly field: string;
  /** `has(a.b)`, or `a.?b`. */
  readonly mode: 'value' | 'presence' | 'optional';
}

export interface Call extends Node {
  readonly type: 'call';
  readonly name: string;
  readonly target: Expr | undefined;
  readonly args: readonly Expr[];
}

export interface ListLiteral extends Node {
  readonly type: 'list';
  readonly items: readonly { readonly value: Expr; readonly optional: boolean }[];
}

export interface MapLiteral extends Node {
  readonly type: 'map';
  readonly entries: readonly { readonly key: Expr; readonly value: Expr; readonly optional: boolean }[];
}

export interface ObjectLiteral extends Node {
  readonly type: 'object';
  readonly name: string;
  readonly fields: readonly { readonly name: string; readonly value: Expr; readonly optional: boolean; readonly offset: number }[];
}

export type ComprehensionKind = 'all' | 'exists' | 'existsOne' | 'map' | 'filter' | 'transformList' | 'transformMap' | 'transformMapEntry';

/** A macro over the items of a list or the keys of a map; with `second`, over indexes and items, or keys and values. */
export interface Comprehension extends Node {
  readonly type: 'comprehension';
  readonly kind: ComprehensionKind;
  readonly range: Expr;
  readonly first: string;
  readonly second: string | undefined;
  readonly condition: Expr | undefined;
  readonly result: Expr | undefined;
}

/** `cel.bind(name, value, body)`, and `optMap` and `optFlatMap`, which bind what an optional value holds. */
export interface Binding extends Node {
  readonly type: 'binding';
  readonly kind: 'bind' | 'optMap' | 'optFlatMap';
  readonly name: string;
  readonly value: Expr;
  readonly body: Expr;
}
