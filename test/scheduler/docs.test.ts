/** The plugin that docs/adding-a-scheduler-plugin.md shows does what the page says. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { ConfigurationError } from '../../src/scheduler/config/arguments.ts';
import { podInfo } from '../../src/scheduler/pod-info.ts';
import type { PluginDefinition } from '../../src/scheduler/plugin.ts';
import { defaultPlugins } from '../../src/scheduler/plugins.ts';
import { schedule } from '../../src/scheduler/schedule.ts';
import { testNode, testPod } from '../../src/scheduler/test-objects.ts';
import { stateOf, testProfile } from '../../src/scheduler/test-profile.ts';
import { parseConfiguration } from '../../src/scheduler/config/configuration.ts';

const blockOf = (page: string, language: string): string =>
  new RegExp(`\`\`\`${language}\\n(apiVersion: kube[\\s\\S]*?|import[\\s\\S]*?)\`\`\``).exec(readFileSync(resolve('docs', page), 'utf8'))?.[1] ?? '';

test('the plugin of the page filters, scores and reads its arguments', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'k8ts-plugin-'));
  try {
    const file = join(directory, 'temperature.ts');
    writeFileSync(file, blockOf('adding-a-scheduler-plugin.md', 'ts'));
    const { temperature } = (await import(pathToFileURL(file).href)) as { temperature: PluginDefinition };
    const state = stateOf({
      nodes: [
        ['hot', '90'],
        ['warm', '60'],
        ['cool', '20'],
      ].map(([name = '', degrees = '']) => testNode(name, {}, { 'example.com/degrees': degrees })),
    });
    const decide = (args: object): string => {
      const profile = testProfile({ pluginConfig: [{ name: 'Temperature', args }] }, state, [...defaultPlugins, temperature]);
      const decision = schedule(state, podInfo(testPod('p')), profile, { chance: 0, start: 0 });
      return decision.type === 'placed' ? decision.nodeName : decision.message;
    };
    assert.equal(decide({}), 'cool');
    assert.match(decide({ limit: 10 }), /^0\/3 nodes are available: 3 node\(s\) were too hot\./);
    assert.throws(() => decide({ limits: 10 }), ConfigurationError);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('the configuration of the page is one', () => {
  const { profiles } = parseConfiguration(blockOf('scheduling.md', 'yaml'));
  assert.deepEqual(
    profiles.map(({ schedulerName }) => schedulerName),
    ['default-scheduler', 'packer'],
  );
});
