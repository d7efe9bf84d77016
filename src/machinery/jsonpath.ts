/** JSONPath templates evaluated: `{range .items[*]}{.metadata.name}{"\n"}{end}`. https://kubernetes.io/docs/reference/kubectl/jsonpath/ */
import { equal } from './equal.ts';
import { type Filter, JsonPathError, type Operand, type Path, type Piece, type Step, parseTemplate, relaxed } from './jsonpath-syntax.ts';

export { JsonPathError } from './jsonpath-syntax.ts';

export class JsonPath {
  private readonly pieces: readonly Piece[];
  private readonly allowMissing: boolean;

  /** Throws {@link JsonPathError}. With `allowMissing`, a field that is not there gives nothing instead of an error. */
  constructor(template: string, options: { readonly allowMissing?: boolean } = {}) {
    this.pieces = parseTemplate(template);
    this.allowMissing = options.allowMissing ?? false;
  }

  /** The values of the expressions, one list for each. Texts are left out. */
  find(data: unknown): unknown[][] {
    const found: unknown[][] = [];
    this.run(
      this.pieces,
      data,
      data,
      (values) => found.push(values),
      () => undefined,
    );
    return found;
  }

  /** The template with its expressions filled in: several values of one are parted by spaces. */
  print(data: unknown): string {
    let text = '';
    this.run(
      this.pieces,
      data,
      data,
      (values) => (text += values.map(printValue).join(' ')),
      (literal) => (text += literal),
    );
    return text;
  }

  private run(
    pieces: readonly Piece[],
    current: unknown,
    root: unknown,
    onValues: (values: unknown[]) => void,
    onText: (text: string) => void,
  ): void {
    for (const piece of pieces) {
      switch (piece.kind) {
        case 'text':
          onText(piece.text);
          break;
        case 'path':
          onValues(walk(piece.path, current, root, this.allowMissing));
          break;
        case 'range':
          for (const item of walk(piece.path, current, root, this.allowMissing)) this.run(piece.body, item, root, onValues, onText);
          break;
      }
    }
  }
}

/** A path as CRD printer columns and `--sort-by` have it: `.spec.replicas`, braces and leading dot optional. Missing fields give nothing. */
export function compilePath(expression: string): (data: unknown) => unknown[] {
  const path = new JsonPath(relaxed(expression), { allowMissing: true });
  return (data) => path.find(data).flat();
}

export function printValue(value: unknown): string {
  if (typeof value === 'string') return value;
  return value === null || value === undefined ? '' : JSON.stringify(value);
}

function walk(path: Path, current: unknown, root: unknown, allowMissing: boolean): unknown[] {
  return follow(path.steps, [path.fromRoot ? root : current], root, allowMissing);
}

function follow(steps: readonly Step[], from: readonly unknown[], root: unknown, allowMissing: boolean): unknown[] {
  let values = [...from];
  for (const [i, step] of steps.entries()) {
    // Below `..` most values lack the field asked for.
    const afterRecursion = steps[i - 1]?.kind === 'recursive';
    values = take(step, values, root, allowMissing, afterRecursion);
  }
  return values;
}

function take(step: Step, values: readonly unknown[], root: unknown, allowMissing: boolean, lenient: boolean): unknown[] {
  switch (step.kind) {
    case 'field': {
      const found = values.flatMap((value) => (isRecord(value) && Object.hasOwn(value, step.name) ? [value[step.name]] : []));
      if (found.length === 0 && values.length > 0 && !allowMissing) throw new JsonPathError(`${step.name} is not found`);
      return found;
    }
    case 'wildcard':
      return values.flatMap(childrenOf);
    case 'recursive':
      return values.flatMap(descendants);
    case 'index':
      return values.flatMap((value) => {
        if (!Array.isArray(value)) return notAList(value, allowMissing || lenient, 'is not array or slice');
        const index = step.index < 0 ? step.index + value.length : step.index;
        if (index >= 0 && index < value.length) return [value[index] as unknown];
        if (allowMissing || lenient) return [];
        throw new JsonPathError(`array index out of bounds: index ${index}, length ${value.length}`);
      });
    case 'slice':
      return values.flatMap((value) => {
        if (!Array.isArray(value)) return notAList(value, allowMissing || lenient, 'is not array or slice');
        return value.slice(step.start ?? 0, step.end ?? value.length).filter((_, i) => i % step.step === 0);
      });
    case 'union':
      return step.members.flatMap((member) => take(member, values, root, true, lenient));
    case 'nested':
      return follow(step.steps, values, root, allowMissing);
    case 'filter':
      return values.flatMap((value) => {
        if (!Array.isArray(value)) return notAList(value, allowMissing || lenient, 'is not array or slice and cannot be filtered');
        return value.filter((item) => passes(step.filter, item, root));
      });
  }
}

function notAList(value: unknown, lenient: boolean, why: string): never[] {
  if (lenient) return [];
  throw new JsonPathError(`${JSON.stringify(value)} ${why}`);
}

function passes({ left, operator, right }: Filter, item: unknown, root: unknown): boolean {
  const [a, ...moreLeft] = operandValues(left, item, root);
  if (operator === 'exists') return a !== undefined;
  const [b, ...moreRight] = right === undefined ? [] : operandValues(right, item, root);
  if (moreLeft.length > 0 || moreRight.length > 0) throw new JsonPathError('can only compare one element at a time');
  if (a === undefined || b === undefined) return false;
  switch (operator) {
    case '==':
      return equal(a, b);
    case '!=':
      return !equal(a, b);
    default:
      return ordered(a, b, operator);
  }
}

function ordered(a: unknown, b: unknown, operator: '<' | '<=' | '>' | '>='): boolean {
  let difference: number;
  if (typeof a === 'number' && typeof b === 'number') difference = a - b;
  else if (typeof a === 'string' && typeof b === 'string') difference = a < b ? -1 : a > b ? 1 : 0;
  else return false;
  if (difference === 0) return operator === '<=' || operator === '>=';
  return difference < 0 === operator.startsWith('<');
}

function operandValues(operand: Operand, item: unknown, root: unknown): unknown[] {
  return operand.kind === 'value' ? [operand.value] : walk(operand.path, item, root, true);
}

function childrenOf(value: unknown): unknown[] {
  if (Array.isArray(value)) return value;
  return isRecord(value)
    ? Object.keys(value)
        .sort()
        .map((key) => value[key])
    : [];
}

/** The value itself and all below it. */
function descendants(value: unknown): unknown[] {
  return [value, ...childrenOf(value).flatMap(descendants)];
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
