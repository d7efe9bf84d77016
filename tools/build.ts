/**
 * Builds the published package's `dist/`: plain JavaScript, bundled for a fast start, with what is rarely needed (descriptions, the other commands) in
 * files of its own that load on demand. Only native code stays outside: lmdb, and the Node binary.
 */
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { build, type Metafile, type Plugin } from 'esbuild';
import { writeDeclarations } from './declarations.ts';

const root = resolve(import.meta.dirname, '..');
const dist = join(root, 'dist');

/** Data that the program reads at run time rather than imports: by the name it has in the source tree, and where. */
const besideTheProgram: readonly { readonly file: string; readonly reader: RegExp; readonly from: string; readonly to: string }[] = [
  {
    file: 'src/api/generated/descriptions.json',
    reader: /openapi\/definitions\.ts$/,
    from: `'../../api/generated/descriptions.json'`,
    to: `'./descriptions.json'`,
  },
  { file: 'src/cluster/images/hello-server.js', reader: /images\/hello\.ts$/, from: `'hello-server.js'`, to: `'hello-server.js'` },
  { file: 'src/cluster/supervise.sh', reader: /cluster\/daemon\.ts$/, from: `'supervise.sh'`, to: `'supervise.sh'` },
];

/** Everything lands in one folder, so the readers look there. A reader that changed fails the build instead of the user. */
const readBeside: Plugin = {
  name: 'read-beside',
  setup({ onLoad }) {
    for (const { reader, from, to } of besideTheProgram) {
      onLoad({ filter: reader }, ({ path }) => {
        const source = readFileSync(path, 'utf8');
        if (!source.includes(from)) throw new Error(`${path} no longer reads ${from}: tools/build.ts must learn what it reads`);
        return { contents: source.replaceAll(from, to), loader: 'ts' };
      });
    }
  },
};

/** The licences of what is bundled go with it. */
function licencesOf({ inputs }: Metafile): string {
  const packages = new Set<string>();
  for (const path of Object.keys(inputs)) {
    const found = /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0];
    if (found !== undefined) packages.add(found);
  }
  const texts = [...packages].toSorted().map((folder) => {
    const manifest = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8')) as { name: string; version: string; license?: string };
    const file = readdirSync(join(root, folder)).find((name) => /^(licen[cs]e|copying)/i.test(name));
    const text = file === undefined ? `Licence: ${manifest.license ?? 'not given'}` : readFileSync(join(root, folder, file), 'utf8').trim();
    return `${manifest.name} ${manifest.version}\n${'-'.repeat(72)}\n${text}\n`;
  });
  return `k8ts holds these packages, each under its own licence.\n\n${texts.join('\n\n')}`;
}

rmSync(dist, { recursive: true, force: true });
const { metafile } = await build({
  absWorkingDir: root,
  entryPoints: { k8ts: 'src/bin/k8ts.ts', daemon: 'src/bin/daemon.ts', index: 'src/index.ts' },
  outdir: dist,
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node24',
  external: ['lmdb'],
  // Smaller to load; names stay, for stacks that can be read.
  minifySyntax: true,
  minifyWhitespace: true,
  metafile: true,
  plugins: [readBeside],
  // Bundled CommonJS packages call require() for Node's own modules.
  banner: { js: "import { createRequire as k8tsCreateRequire } from 'node:module'; const require = k8tsCreateRequire(import.meta.url);" },
  logLevel: 'warning',
});
for (const { file } of besideTheProgram) cpSync(join(root, file), join(dist, basename(file)));
writeDeclarations(root, join(dist, 'types'));
writeFileSync(join(dist, 'third-party-licences.txt'), licencesOf(metafile));
