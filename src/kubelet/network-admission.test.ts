import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { closeRigs, condition, main, podOf, putPod, rig } from './kubelet-rig.ts';

afterEach(closeRigs);

test('no container starts before policies hold for the address its pod has got', async () => {
  const admission = Promise.withResolvers<void>();
  const asked: string[] = [];
  const it = rig(undefined, {
    admitToNetwork: (pod, addresses) => {
      asked.push(`${pod.metadata.name} ${addresses.join()}`);
      return admission.promise;
    },
  });
  putPod(it);
  await it.world.advanceUntil(() => asked.length > 0, 5000);
  await it.world.advance(5000);
  assert.deepEqual(asked, ['web 10.88.0.2']);
  assert.deepEqual(it.runtime.calls, ['run-sandbox web']);
  admission.resolve();
  await it.world.advanceUntil(() => condition(podOf(it), 'Ready') === 'True', 5000);
});

test('a pod that cannot be admitted says why, and is tried again', async () => {
  let refusals = 1;
  const it = rig(undefined, { admitToNetwork: () => (refusals-- > 0 ? Promise.reject(new Error('no rules for it')) : Promise.resolve()) });
  putPod(it);
  await it.world.advanceUntil(() => main(podOf(it))?.state?.waiting?.reason === 'CreateContainerError', 5000);
  assert.equal(main(podOf(it))?.state?.waiting?.message, 'no rules for it');
  await it.world.advanceUntil(() => condition(podOf(it), 'Ready') === 'True', 15_000);
});

test('the host’s network is not asked about', async () => {
  const it = rig(undefined, { admitToNetwork: () => Promise.reject(new Error('asked')) });
  putPod(it, { hostNetwork: true });
  await it.world.advanceUntil(() => condition(podOf(it), 'Ready') === 'True', 5000);
});
