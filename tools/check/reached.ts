/** Follows imports from file to file, to tell what a process loads that it is not to. */
import { dirname, relative, resolve } from 'node:path';
import type { SourceFile } from './check.ts';
import type { Unreached } from './layers.ts';

const loadedImport = /^(?:import|export)\s+(?!type\b)(?:[^'";]*?\sfrom\s+)?['"](\.[^'"]+)['"]/gm;

/** A sentence for each file that is reached all the same, with the way to it. */
export function reachBreaches(files: readonly SourceFile[], rules: readonly Unreached[]): string[] {
  const texts = new Map(files.map(({ path, text }) => [path, text]));
  return rules.flatMap(({ from, never }) =>
    from.flatMap((start) =>
      [...waysFrom(start, texts)]
        .filter(([path]) => never.some((place) => (place.endsWith('/') ? path.startsWith(place) : path === place)))
        // Of what lies behind one that is not to be reached, nothing more is said.
        .filter(([, way]) => !way.slice(0, -1).some((path) => never.some((place) => path.startsWith(place))))
        .map(([path, way]) => `${way.at(-2) ?? start}:1: ${start} is not to load ${path}, and does by ${way.join(' → ')}`),
    ),
  );
}

/** Every file that is loaded with `start`, with the shortest way there. */
function waysFrom(start: string, texts: ReadonlyMap<string, string>): ReadonlyMap<string, readonly string[]> {
  const ways = new Map<string, readonly string[]>();
  const next: (readonly string[])[] = texts.has(start) ? [[start]] : [];
  for (let way = next.shift(); way !== undefined; way = next.shift()) {
    const path = way.at(-1) ?? start;
    if (ways.has(path)) continue;
    ways.set(path, way);
    for (const match of (texts.get(path) ?? '').matchAll(loadedImport)) {
      const target = relative('/', resolve('/', dirname(path), match[1] ?? ''));
      if (texts.has(target)) next.push([...way, target]);
    }
  }
  return ways;
}
