/** Functions by name, each with its overloads: types, what it does, and what it costs. Signatures are written as documentation writes them. */
import { type CelType, listOf, mapOf, opaque, optionalOf } from './types.ts';

/** From the sizes of receiver and arguments: cost units beyond the one every call costs, or the size of the result. Grows with every size. */
export type FromSizes = (...sizes: number[]) => number;

export interface Overload {
  readonly isMethod: boolean;
  /** The receiver first. */
  readonly parameters: readonly CelType[];
  readonly result: CelType;
  readonly run: (...args: never[]) => unknown;
  /** What the call costs, by the sizes of its arguments; 1 when absent. */
  readonly cost: FromSizes | undefined;
  /** How large the result can get; absent where its type says. */
  readonly resultSize: FromSizes | undefined;
}

export interface OverloadCosts {
  readonly cost?: FromSizes;
  readonly resultSize?: FromSizes;
}

export class Functions {
  readonly #overloads = new Map<string, Overload[]>();

  /** With those of another library below. */
  constructor(base?: Functions) {
    if (base) for (const [name, overloads] of base.#overloads) this.#overloads.set(name, [...overloads]);
  }

  /** `sets.contains(list<A>, list<A>): bool`. */
  global(signature: string, run: (...args: never[]) => unknown, costs: OverloadCosts = {}): this {
    const { name, parameters, result } = readSignature(signature);
    return this.#add(name, { isMethod: false, parameters, result, run, cost: costs.cost, resultSize: costs.resultSize });
  }

  /** `list<A>.indexOf(A): int`. */
  method(signature: string, run: (...args: never[]) => unknown, costs: OverloadCosts = {}): this {
    const { name: whole, parameters, result } = readSignature(signature);
    const dot = whole.lastIndexOf('.');
    const receiver = readType(whole.slice(0, dot));
    const all = [receiver, ...parameters];
    return this.#add(whole.slice(dot + 1), { isMethod: true, parameters: all, result, run, cost: costs.cost, resultSize: costs.resultSize });
  }

  #add(name: string, overload: Overload): this {
    const known = this.#overloads.get(name);
    if (known) known.push(overload);
    else this.#overloads.set(name, [overload]);
    return this;
  }

  find(name: string): readonly Overload[] {
    return this.#overloads.get(name) ?? none;
  }
}

const none: readonly never[] = [];

interface Signature {
  readonly name: string;
  readonly parameters: readonly CelType[];
  readonly result: CelType;
}

function readSignature(text: string): Signature {
  const match = /^(.*)\((.*)\): (.*)$/.exec(text);
  if (!match) throw new Error(`not a signature: ${text}`);
  const [, name = '', parameters = '', result = ''] = match;
  return { name, parameters: splitTypes(parameters).map(readType), result: readType(result) };
}

/** At the commas that are in no brackets. */
function splitTypes(text: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let from = 0;
  for (let i = 0; i < text.length; i++) {
    const character = text.charAt(i);
    if (character === '<') depth++;
    else if (character === '>') depth--;
    else if (character === ',' && depth === 0) {
      parts.push(text.slice(from, i));
      from = i + 1;
    }
  }
  return [...parts, text.slice(from)].map((part) => part.trim()).filter((part) => part !== '');
}

const simple: ReadonlySet<string> = new Set(['int', 'uint', 'double', 'bool', 'string', 'bytes', 'timestamp', 'duration', 'null', 'dyn']);

function readType(text: string): CelType {
  if (simple.has(text)) return { kind: text } as CelType;
  if (/^[A-Z]$/.test(text)) return { kind: 'parameter', name: text };
  const match = /^(list|map|optional|type)<(.*)>$/.exec(text);
  if (!match) return opaque(text);
  const [a, b] = splitTypes(match[2] ?? '').map(readType);
  if (a === undefined) throw new Error(`not a type: ${text}`);
  switch (match[1]) {
    case 'list':
      return listOf(a);
    case 'map':
      if (b === undefined) throw new Error(`not a type: ${text}`);
      return mapOf(a, b);
    case 'optional':
      return optionalOf(a);
    default:
      return { kind: 'type', of: a };
  }
}
