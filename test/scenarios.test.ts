/** Every scenario of `scenarios/`, on a cluster with real containers and, where it says so, on simulated nodes. See scenarios/README.md. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { httpTransport } from '../src/client/http.ts';
import { connectionOf, userKubeconfigPath } from '../src/client/kubeconfig.ts';
import { createClient } from '../src/client/typed-client.ts';
import { buildBusyboxImage } from './images/debian-image.ts';
import { runScenario, type Stage } from './scenarios/run-scenario.ts';
import { readScenarios, type Scenario } from './scenarios/scenario.ts';
import { startClusterUnderTest } from './support/cluster-under-test.ts';
import { cacheDirectory as buildCache } from './support/stock-tools.ts';

const atOnce = 8;
const directory = join(import.meta.dirname, 'scenarios');
/** The cluster is the caller's, and stays. */
const isUp = process.env['SCENARIO_CLUSTER'] === 'up';
const wanted = new RegExp(process.env['SCENARIOS'] ?? '', 'i');
const scenarios = readdirSync(directory)
  .filter((name) => name.endsWith('.yaml'))
  .toSorted()
  .flatMap((name) => readScenarios(join(directory, name)))
  .filter((scenario) => wanted.test(`${scenario.file}: ${scenario.name}`));

suite('with real containers', scenarios, async () => {
  const cluster = await startClusterUnderTest();
  try {
    const loaded = await cluster.k8ts(['image', 'load', await buildBusyboxImage(buildCache()), '--data-dir', cluster.dataDir]);
    assert.equal(loaded.code, 0, loaded.stderr);
    return cluster;
  } catch (error) {
    await cluster.close();
    throw error;
  }
});

suite(
  'with simulated containers',
  scenarios.filter((scenario) => scenario.simulatedToo),
  async () => startClusterUnderTest('--runtime', 'simulated'),
);

interface Started {
  readonly kubeconfig: string;
  close(): Promise<void>;
}

function suite(title: string, chosen: readonly Scenario[], start: () => Promise<Started>): void {
  if (chosen.length === 0 || (isUp && chosen !== scenarios)) return;
  describe(title, () => {
    let stage: Stage;
    let close = async (): Promise<void> => {};
    const cacheDirectory = mkdtempSync(join(tmpdir(), 'k8ts-scenarios-'));
    before(async () => {
      const { kubeconfig, close: end } = isUp ? { kubeconfig: userKubeconfigPath(), close } : await start();
      close = end;
      stage = { client: createClient(httpTransport(connectionOf(kubeconfig))), kubeconfig: readFileSync(kubeconfig, 'utf8'), cacheDirectory };
    });
    after(async () => {
      rmSync(cacheDirectory, { recursive: true, force: true });
      await close();
    });

    describe('several at once', { concurrency: atOnce }, () => {
      for (const scenario of chosen.filter(({ alone }) => !alone)) {
        test(`${scenario.file}: ${scenario.name}`, async () => runScenario(stage, scenario));
      }
    });
    describe('one at a time', () => {
      for (const scenario of chosen.filter(({ alone }) => alone))
        test(`${scenario.file}: ${scenario.name}`, async () => runScenario(stage, scenario));
    });
  });
}
