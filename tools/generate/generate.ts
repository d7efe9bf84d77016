/** `npm run generate`: turns the published model of Kubernetes into `src/api/generated/`. See docs/adding-a-kind.md. `--if-stale` does nothing when that is up to date. */
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bareName, definitionNames } from './definition-names.ts';
import { readModels, type Model } from './read-models.ts';
import { readOperations, servedKinds } from './read-operations.ts';
import { isStale } from './staleness.ts';
import { writeDescriptions, writeSchema } from './write-schema.ts';
import { writeTypes } from './write-types.ts';

const root = join(import.meta.dirname, '..', '..');
const source = join(root, 'node_modules', '@kubernetes', 'client-node', 'dist', 'gen');
const target = join(root, 'src', 'api', 'generated');

const written = ['types.ts', 'schema.json', 'descriptions.json', 'operations.json', 'served-kinds.json'].map((name) => join(target, name));
const madeFrom = [join(source, '..', '..', 'package.json'), import.meta.dirname];
if (process.argv.includes('--if-stale') && !isStale(written, madeFrom)) process.exit(0);

const allModels = readModels(join(source, 'models'));
const { operations, parameters } = readOperations(join(source, 'apis'));
const kinds = servedKinds(operations);
const names = definitionNames(allModels, kinds);
const models: Model[] = [...names.keys()].toSorted().map((name) => {
  const model = allModels.get(name);
  if (model === undefined) throw new Error(`the model has no class ${name} (${bareName(name)})`);
  return model;
});

mkdirSync(target, { recursive: true });
write('types.ts', writeTypes(models, kinds));
write('schema.json', writeSchema(models, names));
write('descriptions.json', writeDescriptions(models, names));
write('operations.json', JSON.stringify({ operations, parameters }));
write('served-kinds.json', JSON.stringify(kinds));
process.stdout.write(`src/api/generated: ${models.length} types, ${kinds.length} kinds, ${operations.length} operations\n`);

/** Whole or not at all, so that a reader never sees half a file. */
function write(file: string, text: string): void {
  const path = join(target, file);
  writeFileSync(`${path}.new`, text);
  renameSync(`${path}.new`, path);
}
