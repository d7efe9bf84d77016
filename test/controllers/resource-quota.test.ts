/** Quotas stay exact though the controller that counts again hears of everything late: of the quota later than of the pods, even. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Pod, ResourceQuota } from '../../src/api/kinds.ts';
import { isReason } from '../../src/machinery/errors.ts';
import { type ControlPlane, startControlPlane } from './control-plane.ts';

describe('a quota counted by a controller that lags behind', () => {
  let plane: ControlPlane;
  before(async () => {
    plane = await startControlPlane({ controllers: 'resourcequota-controller,serviceaccount-controller', lagMs: 1000 });
    await plane.create(ResourceQuota, {
      apiVersion: 'v1',
      kind: 'ResourceQuota',
      metadata: { name: 'pods', namespace: 'default' },
      spec: { hard: { pods: '3' } },
    });
    await plane.until('the quota is in force', async () => (await used()) === '0');
  });
  after(() => plane.close());

  const used = async (): Promise<string | undefined> => (await plane.get(ResourceQuota, 'pods')).status.used?.['pods'];
  const pods = () => plane.admin.resource(Pod).namespace('default');
  const make = (name: string) =>
    plane.create(Pod, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace: 'default' },
      spec: { containers: [{ name: 'main', image: 'app' }] },
    });

  test('is counted off, though the count agrees with what the controller remembers of the quota', async () => {
    // These keep the controller's view of the quota busy for longer than that of the pods.
    for (let i = 0; i < 5; i++) {
      await plane.admin
        .resource(ResourceQuota)
        .namespace('default')
        .patch('pods', { metadata: { annotations: { round: String(i) } } });
    }
    await make('short');
    assert.equal(await used(), '1');
    await pods().delete('short');
    await plane.settle(20_000);
    assert.equal(await used(), '0');
  });

  test('holds, and comes out exact, while pods come and go', async () => {
    let name = 0;
    for (let round = 0; round < 40; round++) {
      await make(`pod-${name++}`).catch((error: unknown) => {
        if (!isReason(error, 'Forbidden')) throw error;
      });
      const living = await plane.list(Pod);
      const charged = Number(await used());
      assert.ok(living.length <= charged && charged <= 3, `${living.length} pods, ${charged} charged, 3 allowed`);
      const oldest = living[0];
      if (round % 2 === 1 && oldest) await pods().delete(oldest.metadata.name);
      await plane.settle(round * 37);
    }
    await plane.settle(60_000);
    assert.equal(await used(), String((await plane.list(Pod)).length));
  });
});
