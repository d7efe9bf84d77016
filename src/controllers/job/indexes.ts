/** Sets of completion indexes, as a job's status writes them: `1,3-5,7`. */

/** Reads only indexes below `completions`; what is not such a list reads as far as it is one. */
export function parseIndexes(text: string | undefined, completions: number): Set<number> {
  const indexes = new Set<number>();
  for (const part of (text ?? '').split(',')) {
    const match = /^(\d+)(?:-(\d+))?$/.exec(part.trim());
    if (!match) continue;
    const last = Math.min(Number(match[2] ?? match[1]), completions - 1);
    for (let index = Number(match[1]); index <= last; index++) indexes.add(index);
  }
  return indexes;
}

export function formatIndexes(indexes: ReadonlySet<number>): string {
  const parts: string[] = [];
  const sorted = [...indexes].sort((a, b) => a - b);
  for (let i = 0; i < sorted.length;) {
    let end = i;
    while (sorted[end + 1] === (sorted[end] ?? 0) + 1) end++;
    const [first, last] = [sorted[i], sorted[end]];
    if (first === last) parts.push(String(first));
    else if (end === i + 1) parts.push(String(first), String(last));
    else parts.push(`${first}-${last}`);
    i = end + 1;
  }
  return parts.join(',');
}
