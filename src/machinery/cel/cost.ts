/**
 * The most an expression can cost, whatever its variables hold: what definitions are refused for before anything is evaluated. Follows the way upstream
 * estimates, with the bounds the types carry.
 */
import type { Checked } from './checker.ts';
import { loopPrices, prices } from './evaluate.ts';
import type { Call, Comprehension, Expr } from './syntax.ts';
import type { CelType } from './types.ts';
import { sizeOf } from './values.ts';

/** What nothing bounds is still no larger than a request. */
export const maxRequestBytes = 3 * 1024 * 1024;

interface Estimate {
  readonly cost: number;
  /** Of the result, at most. */
  readonly size: number;
}

export function estimateCost(expr: Expr, checked: Checked): number {
  return new Estimator(checked).estimate(expr).cost;
}

class Estimator {
  readonly #checked: Checked;

  constructor(checked: Checked) {
    this.#checked = checked;
  }

  estimate(expr: Expr): Estimate {
    switch (expr.type) {
      case 'literal':
        return { cost: 0, size: sizeOf(expr.value) };
      case 'identifier':
        return { cost: prices.access, size: this.#size(expr) };
      case 'select': {
        if (this.#checked.variables.has(expr)) return { cost: prices.access, size: this.#size(expr) };
        const { cost } = this.estimate(expr.operand);
        return { cost: cost + (expr.mode === 'presence' ? 0 : prices.access), size: this.#size(expr) };
      }
      case 'call':
        return this.#call(expr);
      case 'list':
        return { cost: prices.list + this.#sum(expr.items.map(({ value }) => value)), size: expr.items.length };
      case 'map':
        return { cost: prices.map + this.#sum(expr.entries.flatMap(({ key, value }) => [key, value])), size: expr.entries.length };
      case 'object':
        return { cost: prices.object + this.#sum(expr.fields.map(({ value }) => value)), size: 1 };
      case 'comprehension':
        return this.#comprehension(expr);
      case 'binding': {
        const body = this.estimate(expr.body);
        return { cost: this.estimate(expr.value).cost + body.cost, size: body.size };
      }
    }
  }

  #sum(parts: readonly Expr[]): number {
    return parts.reduce((total, part) => total + this.estimate(part).cost, 0);
  }

  #size(expr: Expr): number {
    const type = this.#checked.types.get(expr);
    return type === undefined ? 1 : sizeOfType(type);
  }

  #call(expr: Call): Estimate {
    const { name, target, args } = expr;
    const overloads = this.#checked.overloads.get(expr) ?? [];
    const isMethod = overloads[0]?.isMethod === true;
    const parts = (isMethod && target ? [target, ...args] : args).map((arg) => this.estimate(arg));
    const sizes = parts.map(({ size }) => size);
    const total = parts.reduce((sum, { cost }) => sum + cost, 0);
    if (name === '_?_:_') {
      const [condition, then, otherwise] = parts;
      const branches = Math.max(then?.cost ?? 0, otherwise?.cost ?? 0);
      return { cost: (condition?.cost ?? 0) + branches, size: Math.max(then?.size ?? 1, otherwise?.size ?? 1) };
    }
    const own = Math.max(0, ...overloads.map(({ cost }) => Math.ceil(cost ? cost(...sizes) : prices.call)));
    const known = overloads.flatMap(({ resultSize }) => (resultSize ? [resultSize(...sizes)] : []));
    return { cost: total + own, size: known.length > 0 ? Math.max(...known) : this.#size(expr) };
  }

  #comprehension({ kind, range, condition, result }: Comprehension): Estimate {
    const over = this.estimate(range);
    const loop = kind === 'all' || kind === 'exists' ? loopPrices.quantifier : kind === 'existsOne' ? loopPrices.counting : loopPrices.collecting;
    const each = loop + (condition ? this.estimate(condition).cost : 0) + (result ? this.estimate(result).cost : 0);
    return { cost: over.cost + over.size * each + prices.access, size: over.size };
  }
}

function sizeOfType(type: CelType): number {
  switch (type.kind) {
    case 'string':
    case 'bytes':
    case 'list':
    case 'map':
      return type.maxSize ?? maxRequestBytes;
    case 'dyn':
      return type.maxSize ?? maxRequestBytes;
    case 'optional':
      return sizeOfType(type.of);
    default:
      return 1;
  }
}
