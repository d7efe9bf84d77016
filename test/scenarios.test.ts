/** Every scenario of `scenarios/`, on a cluster with real containers and, where it says so, on simulated nodes in this process. See scenarios/README.md. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test, type TestContext } from 'node:test';
import { httpTransport } from '../src/client/http.ts';
import { connectionOf, userKubeconfigPath } from '../src/client/kubeconfig.ts';
import { createClient } from '../src/client/typed-client.ts';
import { startCluster } from '../src/index.ts';
import { buildBusyboxImage } from './images/debian-image.ts';
import { realTime, runScenario, type Stage, type Time } from './scenarios/run-scenario.ts';
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

const shared = scenarios.filter(({ nodes }) => nodes === undefined);

suite('with real containers', shared, async () => {
  if (isUp) return { kubeconfig: readFileSync(userKubeconfigPath(), 'utf8'), close: async () => undefined };
  const cluster = await startClusterUnderTest();
  try {
    const loaded = await cluster.k8ts(['image', 'load', await buildBusyboxImage(buildCache()), '--data-dir', cluster.dataDir]);
    assert.equal(loaded.code, 0, loaded.stderr);
    return { kubeconfig: readFileSync(cluster.kubeconfig, 'utf8'), close: () => cluster.close() };
  } catch (error) {
    await cluster.close();
    throw error;
  }
});

if (!isUp) {
  suite(
    'with simulated containers',
    shared.filter((scenario) => scenario.simulatedToo),
    async () => {
      const cluster = await startCluster({ port: 0 });
      return { kubeconfig: cluster.kubeconfig(), close: () => cluster.close() };
    },
  );
  const own = scenarios.filter(({ nodes }) => nodes !== undefined);
  describe('on simulated nodes of their own', { concurrency: 2 }, () => {
    for (const scenario of own) test(`${scenario.file}: ${scenario.name}`, () => runOnItsOwn(scenario));
  });
}

async function runOnItsOwn(scenario: Scenario): Promise<void> {
  const cacheDirectory = mkdtempSync(join(tmpdir(), 'k8ts-scenarios-'));
  const cluster = await startCluster({ clock: 'virtual', port: 0, nodes: scenario.nodes ?? [] });
  const time: Time = { now: () => cluster.now().getTime(), pass: (ms) => cluster.advance(ms) };
  try {
    await runScenario({ client: cluster.client, kubeconfig: cluster.kubeconfig(), cacheDirectory, time, machines: cluster }, scenario);
  } finally {
    await cluster.close();
    rmSync(cacheDirectory, { recursive: true, force: true });
  }
}

interface Started {
  /** As text. */
  readonly kubeconfig: string;
  close(): Promise<void>;
}

function suite(title: string, chosen: readonly Scenario[], start: () => Promise<Started>): void {
  if (chosen.length === 0) return;
  describe(title, () => {
    let stage: Stage;
    let close = async (): Promise<void> => {};
    const cacheDirectory = mkdtempSync(join(tmpdir(), 'k8ts-scenarios-'));
    before(async () => {
      const { kubeconfig, close: end } = await start();
      close = end;
      const path = join(cacheDirectory, 'kubeconfig');
      writeFileSync(path, kubeconfig);
      stage = { client: createClient(httpTransport(connectionOf(path))), kubeconfig, cacheDirectory, time: realTime };
    });
    after(async () => {
      rmSync(cacheDirectory, { recursive: true, force: true });
      await close();
    });

    describe('several at once', { concurrency: atOnce }, () => {
      for (const scenario of chosen.filter(({ alone }) => !alone)) {
        test(`${scenario.file}: ${scenario.name}`, (context) => runOnNodes(context, stage, scenario));
      }
    });
    describe('one at a time', () => {
      for (const scenario of chosen.filter(({ alone }) => alone))
        test(`${scenario.file}: ${scenario.name}`, (context) => runOnNodes(context, stage, scenario));
    });
  });
}

/**
 * Real containers share a noisy machine with everything else that is tested: a scenario that fails there is run once more, and said to have been, as `tools/test.sh` does with
 * whole files. One that passes only then has a race to be mended.
 */
async function runOnNodes(context: TestContext, stage: Stage, scenario: Scenario): Promise<void> {
  try {
    await runScenario(stage, scenario);
  } catch (error) {
    context.diagnostic(`failed, run once more: ${error instanceof Error ? error.message : String(error)}`);
    await runScenario(stage, scenario);
  }
}
