/** Sets of NUMA nodes as bits: bit 3 is node 3. A machine with more than 30 has no place here. */

export type NumaMask = number;

export function maskOf(nodes: Iterable<number>): NumaMask {
  let mask = 0;
  for (const node of nodes) mask |= 1 << node;
  return mask;
}

export function nodesIn(mask: NumaMask): readonly number[] {
  const nodes: number[] = [];
  for (let node = 0; mask >> node !== 0; node++) if (hasNode(mask, node)) nodes.push(node);
  return nodes;
}

export function hasNode(mask: NumaMask, node: number): boolean {
  return (mask & (1 << node)) !== 0;
}

export function nodeCount(mask: NumaMask): number {
  let count = 0;
  for (let rest = mask; rest !== 0; rest &= rest - 1) count++;
  return count;
}

/** Fewer nodes; of as many, the lower ones. */
export function isNarrower(mask: NumaMask, than: NumaMask): boolean {
  const [a, b] = [nodeCount(mask), nodeCount(than)];
  return a === b ? mask < than : a < b;
}

/** Every set of them but the empty one. */
export function* masksOver(nodes: readonly number[]): Generator<NumaMask> {
  const most = 2 ** nodes.length;
  for (let chosen = 1; chosen < most; chosen++) yield maskOf(nodes.filter((_, index) => (chosen & (1 << index)) !== 0));
}
