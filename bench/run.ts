/**
 * `npm run bench [NAME …]`: starts clusters of its own from the program as it is published, measures, prints a table against Kubernetes v1.20 on the same class
 * of machine, and keeps the figures as JSON under `bench/results/`. Shared machines are noisy: compare ratios within one run.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import { apiSpeed } from './api-speed.ts';
import type { Figure } from './figure.ts';
import { heldCluster, inTestSpeed } from './in-test.ts';
import { manyObjects } from './many-objects.ts';
import { networkSpeed } from './network-speed.ts';
import { podSpeed } from './pod-speed.ts';
import { schedulerSpeed } from './scheduler.ts';
import { startSpeed } from './start-speed.ts';
import { storeSpeed } from './store.ts';
import { watcherSpeed } from './watchers.ts';

const benches: Readonly<Record<string, () => Promise<Figure[]>>> = {
  store: storeSpeed,
  start: startSpeed,
  api: apiSpeed,
  pods: podSpeed,
  network: networkSpeed,
  'many-objects': manyObjects,
  watchers: watcherSpeed,
  scheduler: schedulerSpeed,
  'in-test': inTestSpeed,
  held: heldCluster,
};

/** Takes long, and so runs only when it is named. */
const onlyByName: ReadonlySet<string> = new Set(['held']);

const names = process.argv.slice(2);
for (const name of names) if (!(name in benches)) throw new Error(`there is no bench "${name}", only ${Object.keys(benches).join(', ')}`);
if (process.getuid?.() !== 0) throw new Error('the bench runs real containers: run it as root');

// What people install, not the source tree, which has to be translated while it is loaded.
execFileSync(process.execPath, [join(import.meta.dirname, '..', 'tools', 'build.ts')], { stdio: 'inherit' });
process.env['K8TS_BUILT'] = '1';

const figures: Figure[] = [];
for (const [name, bench] of Object.entries(benches)) {
  if (names.length === 0 ? onlyByName.has(name) : !names.includes(name)) continue;
  console.error(`measuring ${name} …`);
  figures.push(...(await bench()));
}

console.log(`${'what'.padEnd(44)} ${'k8ts'.padStart(12)} ${'v1.20'.padStart(12)} ${'ratio'.padStart(8)} ${'aim'.padStart(12)}`);
for (const { what, value, unit, upstream, aim, better } of figures) {
  const ratio = upstream === undefined ? '' : `${(better === 'more' ? value / upstream : upstream / value).toFixed(1)}×`;
  console.log(`${what.padEnd(44)} ${shown(value, unit)} ${shown(upstream, unit)} ${ratio.padStart(8)} ${shown(aim, unit)}`);
}

const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim();
const directory = join(import.meta.dirname, 'results');
mkdirSync(directory, { recursive: true });
const when = new Date().toISOString();
const machine = { cores: cpus().length, model: cpus()[0]?.model, memoryBytes: totalmem(), node: process.version };
const path = join(directory, `${when.replaceAll(':', '-').slice(0, 19)}.json`);
writeFileSync(path, `${JSON.stringify({ when, commit, machine, figures }, undefined, 2)}\n`);
console.error(`kept in ${path}`);

function shown(value: number | undefined, unit: string): string {
  if (value === undefined) return ''.padStart(12);
  const number = value >= 100 ? Math.round(value).toLocaleString('en') : value.toPrecision(3);
  return `${number} ${unit}`.padStart(12);
}
