/** What Kubernetes lets expressions do with lists and sets: https://kubernetes.io/docs/reference/using-api/cel/#kubernetes-list-library */
import { CelError } from './errors.ts';
import type { Functions } from './overloads.ts';
import { absent, compare, isEqual, kindOf, Optional, Uint, Duration, noOverload } from './values.ts';
import { bounded } from './time.ts';

type List = readonly unknown[];

/** A longer list is nobody's. */
const maxRange = 1_000_000n;

export function addListFunctions(functions: Functions): void {
  const each = { cost: (list: number) => 1 + list };
  const same = { cost: (list: number) => 1 + list, resultSize: (list: number) => list };
  const squared = { cost: (list: number) => 1 + list * list, resultSize: (list: number) => list };
  const product = { cost: (a: number, b: number) => 1 + a * b };
  const ordered = ['int', 'uint', 'double', 'bool', 'string', 'bytes', 'timestamp', 'duration'];
  for (const type of ordered) {
    functions
      .method(`list<${type}>.isSorted(): bool`, (list: List) => list.every((item, index) => index === 0 || compare(list[index - 1], item) <= 0), each)
      .method(`list<${type}>.min(): ${type}`, (list: List) => extreme(list, -1, 'min'), each)
      .method(`list<${type}>.max(): ${type}`, (list: List) => extreme(list, 1, 'max'), each)
      .method(`list<${type}>.sort(): list<${type}>`, (list: List) => list.toSorted(compare), squared);
  }
  for (const type of ['int', 'uint', 'double', 'duration']) functions.method(`list<${type}>.sum(): ${type}`, sum, each);
  functions
    .method('list<A>.indexOf(A): int', (list: List, wanted: unknown) => BigInt(list.findIndex((item) => isEqual(item, wanted))), each)
    .method('list<A>.lastIndexOf(A): int', (list: List, wanted: unknown) => BigInt(list.findLastIndex((item) => isEqual(item, wanted))), each)
    .method('list<A>.distinct(): list<A>', (list: List) => list.filter((item, index) => !has(list.slice(0, index), item)), squared)
    .method('list<A>.slice(int, int): list<A>', slice, same)
    .method('list<A>.reverse(): list<A>', (list: List) => list.toReversed(), same)
    .method('list<list<A>>.flatten(): list<A>', (list: List) => list.flat(), same)
    .method('list<A>.flatten(): list<dyn>', (list: List) => list.flat(), same)
    .method('list<A>.flatten(int): list<dyn>', (list: List, depth: bigint) => flattened(list, depth), same)
    .method('list<A>.first(): optional<A>', (list: List) => (list.length === 0 ? absent : Optional.of(list[0])))
    .method('list<A>.last(): optional<A>', (list: List) => (list.length === 0 ? absent : Optional.of(list.at(-1))))
    .global('lists.range(int): list<int>', range, each)
    .global('sets.contains(list<A>, list<A>): bool', (a: List, b: List) => b.every((item) => has(a, item)), product)
    .global('sets.intersects(list<A>, list<A>): bool', (a: List, b: List) => b.some((item) => has(a, item)), product)
    .global(
      'sets.equivalent(list<A>, list<A>): bool',
      (a: List, b: List) => a.every((item) => has(b, item)) && b.every((item) => has(a, item)),
      product,
    );
}

function has(list: List, wanted: unknown): boolean {
  return list.some((item) => isEqual(item, wanted));
}

function extreme(list: List, sign: number, name: string): unknown {
  if (list.length === 0) throw new CelError(`${name} called on empty list`);
  return list.reduce((best, item) => (compare(item, best) * sign > 0 ? item : best));
}

function sum(list: List): unknown {
  const [first = 0n, ...rest] = list;
  return rest.reduce(plus, first);
}

function plus(a: unknown, b: unknown): unknown {
  if (typeof a === 'bigint' && typeof b === 'bigint') {
    if (a + b !== BigInt.asIntN(64, a + b)) throw new CelError('integer overflow');
    return a + b;
  }
  if (typeof a === 'number' && typeof b === 'number') return a + b;
  if (a instanceof Uint && b instanceof Uint) return new Uint(BigInt.asUintN(64, a.value + b.value));
  if (a instanceof Duration && b instanceof Duration) return bounded(a.nanoseconds + b.nanoseconds);
  throw noOverload(`${kindOf(a)} + ${kindOf(b)}`);
}

function slice(list: List, from: bigint, to: bigint): List {
  if (from < 0n || to < 0n) throw new CelError(`cannot slice(${from}, ${to}), negative indexes not supported`);
  if (from > to) throw new CelError(`cannot slice(${from}, ${to}), start index must be less than or equal to end index`);
  if (to > BigInt(list.length)) throw new CelError(`cannot slice(${from}, ${to}), list is length ${list.length}`);
  return list.slice(Number(from), Number(to));
}

function flattened(list: List, depth: bigint): List {
  if (depth < 0n) throw new CelError('level must be non-negative');
  return list.flat(Number(depth > 100n ? 100n : depth)) as List;
}

function range(size: bigint): bigint[] {
  if (size < 0n || size > maxRange) throw new CelError(`lists.range() size must be between 0 and ${maxRange}`);
  return Array.from({ length: Number(size) }, (_, index) => BigInt(index));
}
