/**
 * `npm run seeds [FIRST [COUNT]]`: runs seeds with all faults, says of each that fails what did not hold, and with `npm run seeds SEED` runs one and
 * tells all about it. Every seed is run twice and compared, byte by byte.
 */
import { badDay } from '../../src/index.ts';
import { runSeed, type SeedOutcome } from './run-seed.ts';

const [first = 1, count = process.argv.length > 3 ? Number(process.argv[3]) : process.argv.length > 2 ? 1 : 1000] = process.argv
  .slice(2, 3)
  .map(Number);
const detailed = count === 1;

function tell({ seed, broken, faults }: SeedOutcome): void {
  console.log(`seed ${seed} failed; replay it with: npm run seeds ${seed}`);
  for (const line of broken.slice(0, detailed ? 100 : 5)) console.log(`  ${line}`);
  if (detailed) for (const line of faults) console.log(`  fault: ${line}`);
}

let failed = 0;
let writes = 0;
const begin = performance.now();
for (let seed = first; seed < first + count; seed++) {
  try {
    const outcome = await runSeed(seed, { faults: badDay });
    writes += outcome.writes;
    if (outcome.broken.length > 0) tell(outcome);
    const again = process.env['ONCE'] === undefined ? await runSeed(seed, { faults: badDay }) : outcome;
    if (again.history !== outcome.history) console.log(`seed ${seed} had two histories`);
    if (outcome.broken.length > 0 || again.history !== outcome.history) failed++;
  } catch (error) {
    failed++;
    console.log(
      `seed ${seed} failed; replay it with: npm run seeds ${seed}\n  ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
    );
  }
}
console.log(`${count} seeds, ${failed} failed, ${writes} writes, ${((performance.now() - begin) / 1000).toFixed(0)} s`);
process.exitCode = failed === 0 ? 0 : 1;
