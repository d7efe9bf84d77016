/**
 * The types of the published package: declarations of what `src/index.ts` shows, and of nothing that cannot be reached from there. The compiler writes
 * one for every file the program has; most say what only the inside needs.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';

const importPattern = /(?:from\s+|import\(|import\s+)['"](\.[^'"]+)\.ts['"]/g;

/** Writes `index.d.ts` and what it needs below the folder. */
export function writeDeclarations(root: string, folder: string): void {
  const temporary = mkdtempSync(join(tmpdir(), 'k8ts-declarations-'));
  try {
    const config = join(temporary, 'tsconfig.json');
    writeFileSync(
      config,
      JSON.stringify({
        extends: join(root, 'tsconfig.json'),
        compilerOptions: {
          noEmit: false,
          declaration: true,
          emitDeclarationOnly: true,
          // That they are right is `npm run ok`'s to say.
          noCheck: true,
          rootDir: join(root, 'src'),
          outDir: join(temporary, 'types'),
          types: ['node'],
          typeRoots: [join(root, 'node_modules/@types')],
        },
        include: [],
        files: [join(root, 'src/index.ts')],
      }),
    );
    execFileSync(join(root, 'node_modules/.bin/tsc'), ['-p', config], { stdio: ['ignore', 'inherit', 'inherit'] });
    for (const file of reachable(join(temporary, 'types/index.d.ts'))) {
      const to = join(folder, relative(join(temporary, 'types'), file));
      mkdirSync(dirname(to), { recursive: true });
      cpSync(file, to);
    }
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

function reachable(start: string): ReadonlySet<string> {
  const found = new Set<string>();
  const open = [start];
  for (let file = open.pop(); file !== undefined; file = open.pop()) {
    if (found.has(file)) continue;
    found.add(file);
    for (const [, path = ''] of readFileSync(file, 'utf8').matchAll(importPattern)) {
      const next = `${resolve(dirname(file), path)}.d.ts`;
      if (!existsSync(next)) throw new Error(`${file} needs ${next}, which was not written`);
      open.push(next);
    }
  }
  return found;
}
