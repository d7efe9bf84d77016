import assert from 'node:assert/strict';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { simulatedWorld } from '../../world/simulated.ts';
import { realDisk, simulatedDisk } from '../disk.ts';
import type { Credential } from './credentials.ts';
import { PullRecords } from './pull-records.ts';
import { defaultVerification } from './verification.ts';

const repository = 'registry.example.com/app';
const image = `${repository}:1`;
const credential: Credential = {
  auth: { username: 'u', password: 'p', serverAddress: '', identityToken: '', registryToken: '' },
  owner: { kind: 'secret', uid: 'uid-a', namespace: 'team', name: 'a' },
};
const none = async (): Promise<readonly Credential[]> => [];
const mine = async (): Promise<readonly Credential[]> => [credential];

describe('records of pulls', () => {
  const world = simulatedWorld(1);
  let rootDir = '';
  before(async () => void (rootDir = await mkdtemp(join(tmpdir(), 'k8ts-pulls-'))));
  after(() => rm(rootDir, { recursive: true }));
  const open = (): PullRecords => new PullRecords({ world, disk: realDisk(), rootDir, settings: defaultVerification });
  const files = async (what: string): Promise<readonly string[]> => (await readdir(join(rootDir, 'image_manager', what))).sort();

  test('tell, also after a restart, who has to show credentials', async () => {
    const records = open();
    assert.equal(await records.mustAsk(image, repository, 'sha256:a', none), false, 'it was there before');
    await records.begin(image);
    assert.equal((await files('pulling')).length, 1);
    await records.pulled(repository, 'sha256:a', credential);
    await records.end(image);
    assert.deepEqual([(await files('pulling')).length, (await files('pulled')).length], [0, 1]);
    for (const later of [records, open()]) {
      assert.equal(await later.mustAsk(image, repository, 'sha256:a', none), true);
      assert.equal(await later.mustAsk(image, repository, 'sha256:a', mine), false);
      assert.equal(
        await later.mustAsk('other.example.com/app:1', 'other.example.com/app', 'sha256:a', mine),
        true,
        'the same image, by another name',
      );
    }
    const [file = ''] = await files('pulled');
    const record = JSON.parse(await readFile(join(rootDir, 'image_manager/pulled', file), 'utf8'));
    assert.equal(record.kind, 'ImagePulledRecord');
    assert.deepEqual(Object.keys(record.credentialMapping), [repository]);
    assert.equal(JSON.stringify(record).includes('"p"'), false, 'the password itself is not kept');
  });

  test('let anyone run what was pulled without credentials', async () => {
    const records = open();
    await records.pulled(repository, 'sha256:b', undefined);
    assert.equal(await open().mustAsk(image, repository, 'sha256:b', none), false);
  });

  test('that are spoiled, or of a pull that nobody saw the end of, make everyone show credentials', async () => {
    const [file = ''] = await files('pulled');
    await writeFile(join(rootDir, 'image_manager/pulled', file), '{');
    const ref = ['sha256:a', 'sha256:b'];
    const asked = await Promise.all(ref.map((id) => open().mustAsk(image, repository, id, none)));
    assert.equal(asked.includes(true), true);
    await open().begin('registry.example.com/killed:1');
    assert.equal(await open().mustAsk('registry.example.com/killed:1', 'registry.example.com/killed', 'sha256:c', mine), true);
  });

  test('go with the image', async () => {
    const records = open();
    await records.pulled(repository, 'sha256:d', credential);
    await records.forget('sha256:d');
    assert.equal(await records.mustAsk(image, repository, 'sha256:d', none), false);
  });

  test('of a machine without a disk are remembered', async () => {
    const records = new PullRecords({ world, disk: simulatedDisk(), rootDir: '/nowhere', settings: defaultVerification });
    await records.begin(image);
    await records.pulled(repository, 'sha256:a', credential);
    await records.end(image);
    assert.equal(await records.mustAsk(image, repository, 'sha256:a', none), true);
  });
});
