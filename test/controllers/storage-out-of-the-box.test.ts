/** The class `standard` on simulated nodes: scheduler, volume controller and a provisioner on each node together, on a virtual clock. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { Node, PersistentVolume, PersistentVolumeClaim, Pod, StatefulSet, StorageClass } from '../../src/api/kinds.ts';
import type { Client } from '../../src/client/client.ts';
import { createInformers } from '../../src/client/informers.ts';
import { Parts } from '../../src/cluster/in-process/parts.ts';
import { provisionerServiceAccount } from '../../src/cluster/pki.ts';
import { installStorage } from '../../src/cluster/storage-addon.ts';
import type { Draft } from '../../src/machinery/object.ts';
import { type Directories, simulatedDirectories } from '../../src/provisioner/directories.ts';
import { startProvisioner } from '../../src/provisioner/provisioner.ts';
import { type SimulatedWorld, simulatedWorld } from '../../src/world/simulated.ts';

let world: SimulatedWorld;
let parts: Parts;
let client: Client;
let stops: (() => Promise<void>)[];
/** Each node's directories, as `node name`. */
let present: Set<string>;
let full: boolean;

function directoriesOf(nodeName: string): Directories {
  const key = (path: string): string => `${nodeName} ${path.split('_').at(-1)}`;
  return {
    ...simulatedDirectories('/volumes'),
    async make(path) {
      if (full) throw new Error(`ENOSPC: no space left on device, mkdir '${path}'`);
      present.add(key(path));
    },
    async remove(path) {
      present.delete(key(path));
    },
  };
}

async function until(what: string, done: () => Promise<boolean>, limitMs = 300_000): Promise<void> {
  const endMs = world.clock.now() + limitMs;
  while (!(await done())) {
    assert.ok(world.clock.now() < endMs, `after ${limitMs} ms of virtual time still not: ${what}`);
    await world.advance(50);
  }
}

beforeEach(async () => {
  [stops, present, full] = [[], new Set(), false];
  world = simulatedWorld(1);
  parts = new Parts(world, { nodes: 3, storage: false });
  client = parts.clientAs('admin', ['system:masters']);
  const started = parts.start();
  let up = false;
  void started.then(() => (up = true));
  await until('the cluster is up', async () => up);
  await installStorage(client);
  const { namespace, name } = provisionerServiceAccount;
  const account = parts.clientAs(`system:serviceaccount:${namespace}:${name}`, ['system:serviceaccounts', 'system:authenticated']);
  for (const { metadata } of (await client.resource(Node).list()).items) {
    const informers = createInformers(account, world, { freeze: true });
    const directories = directoriesOf(metadata.name);
    const provisioner = startProvisioner({
      world,
      client: account,
      informers,
      serves: (name) => name === metadata.name,
      host: metadata.name,
      directories,
    });
    stops.push(async () => {
      await provisioner.close();
      informers.close();
    });
  }
});
afterEach(async () => {
  for (const stop of stops) await stop();
  await parts.close();
});

const claimTemplate = {
  apiVersion: 'v1',
  kind: 'PersistentVolumeClaim',
  metadata: { name: 'data', namespace: '', uid: '', resourceVersion: '', creationTimestamp: '2026-01-01T00:00:00Z' },
  spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
  status: { phase: 'Pending' },
};

const set: Draft<StatefulSet> = {
  metadata: { name: 'db', namespace: 'default' },
  spec: {
    serviceName: 'db',
    replicas: 3,
    selector: { matchLabels: { app: 'db' } },
    template: {
      metadata: { labels: { app: 'db' } },
      spec: {
        containers: [{ name: 'c', image: 'i', volumeMounts: [{ name: 'data', mountPath: '/data' }] }],
        affinity: {
          podAntiAffinity: {
            requiredDuringSchedulingIgnoredDuringExecution: [
              { topologyKey: 'kubernetes.io/hostname', labelSelector: { matchLabels: { app: 'db' } } },
            ],
          },
        },
      },
    },
    volumeClaimTemplates: [claimTemplate],
  },
};

const sets = () => client.resource(StatefulSet).namespace('default');
const pods = () => client.resource(Pod).namespace('default');
const untilReady = (): Promise<void> => until('three are ready', async () => (await sets().get('db')).status?.readyReplicas === 3);
const nodeOf = async (pod: string): Promise<string> => (await pods().get(pod)).spec.nodeName ?? '';

test('a stateful set works at once, each pod on its own node with a directory there, which it comes back to', async () => {
  await sets().create(set);
  await untilReady();
  const places = await Promise.all([0, 1, 2].map(async (index) => `${await nodeOf(`db-${index}`)} data-db-${index}`));
  assert.deepEqual([...present].sort(), places.sort());
  assert.equal(new Set(places.map((place) => place.split(' ')[0])).size, 3);
  const before = await nodeOf('db-1');
  const { uid } = (await pods().get('db-1')).metadata;
  await pods().delete('db-1');
  await until('another is there', async () => (await pods().list()).items.some(({ metadata }) => metadata.name === 'db-1' && metadata.uid !== uid));
  await untilReady();
  assert.equal(await nodeOf('db-1'), before);
});

test('directories go with their claims, on every node', async () => {
  await sets().create(set);
  await untilReady();
  await sets().delete('db');
  await client.resource(PersistentVolumeClaim).namespace('default').deleteCollection();
  await until('no volume is left', async () => (await client.resource(PersistentVolume).list()).items.length === 0);
  assert.deepEqual([...present], []);
});

test('a node without room is tried again until there is some', async () => {
  full = true;
  await sets().create(set);
  await world.advance(30_000);
  assert.deepEqual([...present], []);
  full = false;
  await untilReady();
  assert.equal(present.size, 3);
});

test('another class can be made the default, and stays so when the cluster is started again', async () => {
  const classes = client.resource(StorageClass);
  await classes.patch('standard', { metadata: { annotations: { 'storageclass.kubernetes.io/is-default-class': 'false' } } });
  await installStorage(client);
  assert.equal((await classes.get('standard')).metadata.annotations?.['storageclass.kubernetes.io/is-default-class'], 'false');
});
