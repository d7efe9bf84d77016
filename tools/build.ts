/**
 * Builds the published package's `dist/`: plain JavaScript, bundled for a fast start, with what is rarely needed (descriptions, the other commands) in
 * files of its own that load on demand. Native addons stay packages.
 */
import { cpSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { build } from 'esbuild';

const root = resolve(import.meta.dirname, '..');
const dist = join(root, 'dist');
rmSync(dist, { recursive: true, force: true });
await build({
  absWorkingDir: root,
  entryPoints: { k8ts: 'src/bin/k8ts.ts' },
  outdir: dist,
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node24',
  external: ['lmdb'],
  // Bundled CommonJS packages call require() for Node's own modules.
  banner: { js: "import { createRequire as k8tsCreateRequire } from 'node:module'; const require = k8tsCreateRequire(import.meta.url);" },
  logLevel: 'warning',
});
// Data that the program reads beside itself rather than imports.
cpSync(join(root, 'src/cluster/images/hello-server.js'), join(dist, 'hello-server.js'));
