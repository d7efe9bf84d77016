/** Stateful sets against the API server, with a kubelet that only pretends. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { ControllerRevision, Event, PersistentVolumeClaim, Pod, StatefulSet } from '../../src/api/kinds.ts';
import type { Draft } from '../../src/machinery/object.ts';
import { type ControlPlane, startControlPlane } from './control-plane.ts';

function db(spec: Partial<StatefulSet['spec']> = {}): Draft<StatefulSet> {
  return {
    metadata: { name: 'db', namespace: 'default' },
    spec: {
      replicas: 3,
      serviceName: 'dbs',
      selector: { matchLabels: { app: 'db' } },
      template: { metadata: { labels: { app: 'db' } }, spec: { containers: [{ name: 'c', image: 'c:1' }] } },
      ...spec,
    },
  };
}

const data: PersistentVolumeClaim = {
  apiVersion: 'v1',
  kind: 'PersistentVolumeClaim',
  metadata: { name: 'data', namespace: '', uid: '', resourceVersion: '', creationTimestamp: '' },
  spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
  status: {},
};
const claimTemplate: Draft<PersistentVolumeClaim> = { metadata: { name: 'data' }, spec: data.spec };

describe('stateful set', () => {
  let plane: ControlPlane;
  let unready: Set<string>;
  let made: string[];
  let gone: string[];
  async function start(lagMs?: number): Promise<void> {
    [unready, made, gone] = [new Set(), [], []];
    plane = await startControlPlane({
      node: 'n1',
      ready: (pod) => !unready.has(pod.metadata.name) && !unready.has(pod.spec.containers[0]?.image ?? ''),
      ...(lagMs !== undefined && { lagMs }),
    });
    plane.informers.of(Pod).subscribe({ added: ({ metadata }) => made.push(metadata.name), deleted: ({ metadata }) => gone.push(metadata.name) });
  }
  beforeEach(() => start());
  afterEach(() => plane.close());

  const sets = () => plane.admin.resource(StatefulSet).namespace('default');
  const pods = () => plane.admin.resource(Pod).namespace('default');
  const ready = (count: number) => async () => {
    const { metadata, status } = await sets().get('db');
    return (
      status.observedGeneration === metadata.generation &&
      [status.replicas, status.readyReplicas ?? 0, status.availableReplicas].every((n) => n === count) &&
      status.currentRevision === status.updateRevision
    );
  };
  const setImage = (image: string) =>
    sets().patch('db', { spec: { template: { spec: { containers: [{ name: 'c', image }] } } } }, { type: 'strategic' });
  const images = async () => Object.fromEntries((await plane.list(Pod)).map(({ metadata, spec }) => [metadata.name, spec.containers[0]?.image]));
  /** Claim templates carry no namespace and uid of their own. */
  const withClaims = (spec: Partial<StatefulSet['spec']> = {}) =>
    ({ ...db(spec), spec: { ...db(spec).spec, volumeClaimTemplates: [claimTemplate] } }) as Draft<StatefulSet>;

  it('makes pods one after the other, each with its name', async () => {
    unready.add('db-1');
    await plane.create(StatefulSet, db());
    await plane.settle(5000);
    assert.deepEqual(made, ['db-0', 'db-1']);
    unready.delete('db-1');
    await pods().patch('db-1', { metadata: { labels: { touched: 'yes' } } });
    await plane.until('3', ready(3));
    assert.deepEqual(made, ['db-0', 'db-1', 'db-2']);
    const pod = await pods().get('db-2');
    assert.equal(pod.spec.hostname, 'db-2');
    assert.equal(pod.spec.subdomain, 'dbs');
    const { status } = await sets().get('db');
    assert.deepEqual(
      ['statefulset.kubernetes.io/pod-name', 'apps.kubernetes.io/pod-index', 'controller-revision-hash'].map((key) => pod.metadata.labels?.[key]),
      ['db-2', '2', status.currentRevision],
    );
    assert.ok((await plane.list(Event)).some(({ message }) => message === 'create Pod db-0 in StatefulSet db successful'));
    assert.deepEqual(plane.complaints, []);
  });

  it('scales down from the highest, and starts where it is told', async () => {
    await plane.create(StatefulSet, db({ ordinals: { start: 5 } }));
    await plane.until('3', ready(3));
    assert.deepEqual(made, ['db-5', 'db-6', 'db-7']);
    await sets().patch('db', { spec: { replicas: 1 } });
    await plane.until('1', ready(1));
    assert.deepEqual(gone, ['db-7', 'db-6']);
  });

  it('keeps as many revisions as it is told, and numbers one anew that is taken up again', async () => {
    await plane.create(StatefulSet, db({ replicas: 1, revisionHistoryLimit: 1 }));
    await plane.until('1', ready(1));
    const first = (await sets().get('db')).status.currentRevision;
    for (const image of ['c:2', 'c:3', 'c:4']) {
      await setImage(image);
      await plane.until(image, async () => (await images())['db-0'] === image && (await ready(1)()));
    }
    const numbers = async () => (await plane.list(ControllerRevision)).map(({ revision }) => revision).sort((a, b) => a - b);
    await plane.settle();
    assert.deepEqual(await numbers(), [3, 4]);
    assert.notEqual((await sets().get('db')).status.currentRevision, first);
    await setImage('c:3');
    await plane.until('back', async () => (await images())['db-0'] === 'c:3' && (await ready(1)()));
    assert.deepEqual(await numbers(), [4, 5]);
  });

  it('in parallel, waits for no one', async () => {
    unready.add('db-0');
    await plane.create(StatefulSet, db({ podManagementPolicy: 'Parallel' }));
    await plane.settle();
    assert.deepEqual([...made].sort(), ['db-0', 'db-1', 'db-2']);
  });

  it('rolls over from the highest to the partition, and all of it when that goes', async () => {
    await plane.create(StatefulSet, db({ updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: 2 } } }));
    await plane.until('3', ready(3));
    await setImage('c:2');
    await plane.until('one new', async () => (await images())['db-2'] === 'c:2');
    await plane.settle(3000);
    assert.deepEqual(await images(), { 'db-0': 'c:1', 'db-1': 'c:1', 'db-2': 'c:2' });
    const { status } = await sets().get('db');
    assert.deepEqual([status.currentReplicas, status.updatedReplicas], [2, 1]);
    await pods().delete('db-0');
    await plane.until('as before', async () => (await images())['db-0'] === 'c:1');
    gone.length = 0;
    await sets().patch('db', { spec: { updateStrategy: { rollingUpdate: { partition: 0 } } } });
    await plane.until('rolled', ready(3));
    assert.deepEqual(await images(), { 'db-0': 'c:2', 'db-1': 'c:2', 'db-2': 'c:2' });
    assert.deepEqual(gone, ['db-1', 'db-0']);
    assert.equal((await plane.list(ControllerRevision)).length, 2);
  });

  it('on delete, replaces only what is deleted', async () => {
    await plane.create(StatefulSet, db({ updateStrategy: { type: 'OnDelete' } }));
    await plane.until('3', ready(3));
    await setImage('c:2');
    await plane.settle(2000);
    assert.deepEqual(gone, []);
    await pods().delete('db-1');
    await plane.until('new', async () => (await images())['db-1'] === 'c:2');
  });

  it('counts pods as available only after minReadySeconds', async () => {
    await plane.create(StatefulSet, db({ minReadySeconds: 10, replicas: 2 }));
    await plane.settle(5000);
    assert.deepEqual(made, ['db-0']);
    await plane.until('2', ready(2));
  });

  it('replaces a failed pod under its name', async () => {
    await plane.create(StatefulSet, db({ replicas: 1 }));
    await plane.until('1', ready(1));
    const { metadata } = await pods().get('db-0');
    await pods().patch('db-0', { status: { phase: 'Failed' } }, { subresource: 'status' });
    await plane.until('another', async () => {
      const pod = (await plane.list(Pod))[0];
      return pod !== undefined && pod.metadata.uid !== metadata.uid && pod.status.phase === 'Running';
    });
    assert.ok((await plane.list(Event)).some(({ reason }) => reason === 'RecreatingFailedPod'));
  });

  it('gives each pod a claim that outlives it', async () => {
    await plane.create(StatefulSet, withClaims());
    await plane.until('3', ready(3));
    const claims = async () => (await plane.list(PersistentVolumeClaim)).map(({ metadata }) => metadata.name).sort();
    assert.deepEqual(await claims(), ['data-db-0', 'data-db-1', 'data-db-2']);
    const pod = await pods().get('db-1');
    assert.equal(pod.spec.volumes?.find(({ name }) => name === 'data')?.persistentVolumeClaim?.claimName, 'data-db-1');
    await sets().patch('db', { spec: { replicas: 1 } });
    await plane.until('1', ready(1));
    await plane.settle(5000);
    assert.deepEqual(await claims(), ['data-db-0', 'data-db-1', 'data-db-2']);
  });

  it('takes claims along when told to, on scaling down and on deletion', async () => {
    await plane.create(StatefulSet, withClaims({ persistentVolumeClaimRetentionPolicy: { whenScaled: 'Delete', whenDeleted: 'Delete' } }));
    await plane.until('3', ready(3));
    // Nothing in this cluster takes the protection off.
    const unprotected = async () =>
      (await plane.list(PersistentVolumeClaim))
        .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
        .map(({ metadata }) => metadata.name)
        .sort();
    await sets().patch('db', { spec: { replicas: 1 } });
    await plane.until('one claim', async () => (await unprotected()).join() === 'data-db-0');
    await sets().delete('db');
    await plane.until('none', async () => (await unprotected()).length === 0);
  });

  it('makes nothing twice behind a lagging cache and through restarts', async () => {
    await plane.close();
    await start(200);
    await plane.create(StatefulSet, db({ podManagementPolicy: 'Parallel' }));
    await plane.until('3', ready(3));
    await plane.settle(3000);
    assert.equal(made.length, 3);
    await setImage('c:2');
    await plane.settle(250);
    await plane.restart();
    await plane.until('rolled', ready(3));
    await plane.settle(5000);
    assert.equal(made.length, 6);
    assert.deepEqual(plane.complaints, []);
  });
});
