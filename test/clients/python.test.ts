/** Debian's python3-kubernetes (22.6, older than the server by many releases) as scripts and operators use it: each function of `journey.py` is one journey. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type ClusterUnderTest, startClusterUnderTest } from '../support/cluster-under-test.ts';
import { debianPackage } from '../support/debian-packages.ts';
import { run } from '../support/stock-tools.ts';

const interpreter = '/usr/bin/python3';
const packages = [
  'kubernetes',
  'yaml',
  'dateutil',
  'certifi',
  'urllib3',
  'requests',
  'six',
  'websocket',
  'google-auth',
  'oauthlib',
  'requests-oauthlib',
  'pkg-resources',
  'idna',
  'chardet',
  'charset-normalizer',
  'cachetools',
  'pyasn1',
  'pyasn1-modules',
  'rsa',
];
const journeys = {
  typed: 'create, read, list in pages, patch three ways, replace and delete',
  errors: 'errors carry code, reason and Status',
  workloads: 'a deployment becomes ready, is scaled by its scale and goes with all it made',
  watched: 'a watch tells each change, from a version on, and ends by its timeout',
  from_the_future: 'a watch from a version that is not there yet is told so',
  dynamic_client: 'the dynamic client finds kinds, creates, applies, watches and deletes',
  custom_resources: 'a kind of its own is made, established, used and removed',
  from_yaml: 'utils.create_from_yaml makes all that a file says',
  as_service_account: 'a token of a service account may do what its role says, no more',
} as const;

describe('python3-kubernetes', { skip: existsSync(interpreter) ? false : `needs ${interpreter}` }, () => {
  let cluster: ClusterUnderTest;
  let path: string;

  before(async () => {
    const folders: string[] = [];
    for (const name of packages) folders.push(join(await debianPackage('bookworm', `python3-${name}`), 'usr/lib/python3/dist-packages'));
    path = folders.join(':');
    cluster = await startClusterUnderTest('--runtime', 'simulated');
  });
  after(() => cluster.close());

  for (const [journey, behaviour] of Object.entries(journeys))
    test(behaviour, async () => {
      const env = { ...cluster.env, PYTHONPATH: path, PYTHONDONTWRITEBYTECODE: '1' };
      const { code, stdout, stderr } = await run(interpreter, [join(import.meta.dirname, 'journey.py'), journey], { env, timeoutMs: 120_000 });
      assert.equal(code, 0, stderr);
      assert.equal(stdout.trim().split('\n').at(-1), `${journey} done`, stderr);
    });
});
