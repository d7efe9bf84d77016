import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { simulatedWorld } from '../world/simulated.ts';
import { type CertificateKeeper, keepCertificate, renewalMs } from './certificate-keeper.ts';
import { type CertificatePair, createCertificateAuthority, issueCertificate } from './certificates.ts';

const dayMs = 24 * 60 * 60_000;

/** A keeper that is given certificates of ten days by an authority that can be out of order. */
async function keeping(kept?: (issue: () => Promise<CertificatePair>) => Promise<CertificatePair>) {
  const world = simulatedWorld(7);
  const ca = await createCertificateAuthority(world, 'kubernetes');
  const issue = (): Promise<CertificatePair> => issueCertificate(world, { ca, commonName: 'system:node:n', usages: ['client'], days: 10 });
  const stored: CertificatePair[] = [];
  const changes: CertificatePair[] = [];
  const authority = { outOfOrder: false, asked: 0, answer: Promise.resolve<CertificatePair | undefined>(undefined) };
  const start = (pair?: CertificatePair): CertificateKeeper => {
    const keeper = keepCertificate({
      world,
      log: world.log,
      name: 'kubelet',
      kept: pair,
      async obtain() {
        authority.asked++;
        if (authority.outOfOrder) throw new Error('nobody approves');
        const answer = issue();
        authority.answer = answer;
        return answer;
      },
      keep: (next) => void stored.push(next),
    });
    keeper.onChange((next) => changes.push(next));
    return keeper;
  };
  /** Signing takes real time, which the virtual clock knows nothing of. */
  const pass = async (ms: number): Promise<void> => {
    await world.advance(ms);
    await authority.answer;
    await world.advance(1);
  };
  return { world, pass, issue, stored, changes, authority, start, keeper: start(await kept?.(issue)) };
}

test('the first is asked for when there is none, and kept', async () => {
  const { keeper, stored, changes } = await keeping();
  const first = await keeper.first;
  assert.equal(keeper.current(), first);
  assert.deepEqual([stored, changes], [[first], []]);
  keeper.close();
});

test('one that is good is not asked for again', async () => {
  const { keeper, world, authority } = await keeping((issue) => issue());
  await keeper.first;
  await world.advance(6 * dayMs);
  assert.equal(authority.asked, 0);
  keeper.close();
});

test('the next one is there when 70 to 90 % of the life are over, again and again', async () => {
  const { keeper, world, pass, stored, changes } = await keeping();
  await keeper.first;
  for (let round = 1; round <= 3; round++) {
    const present = keeper.current();
    assert.ok(present);
    const [earliest, latest] = [renewalMs(present, 0), renewalMs(present, 1)];
    await pass(earliest - world.clock.now() - 1000);
    assert.equal(changes.length, round - 1, 'too soon');
    await pass(latest - world.clock.now() + 1000);
    assert.equal(changes.length, round);
    assert.equal(keeper.current(), changes.at(-1));
  }
  assert.deepEqual(stored.slice(1), changes);
  keeper.close();
});

test('while nobody approves it asks again, ever more seldom, and still has the old one; then all is well', async () => {
  const { keeper, world, pass, authority, changes } = await keeping();
  const first = await keeper.first;
  authority.outOfOrder = true;
  await pass(renewalMs(first, 1) - world.clock.now() + 60 * 60_000);
  authority.asked = 0;
  await pass(60 * 60_000);
  assert.equal(authority.asked, 12, 'every five minutes');
  assert.equal(keeper.current(), first);
  authority.outOfOrder = false;
  await pass(5 * 60_000);
  assert.equal(changes.length, 1);
  keeper.close();
});

test('one whose time is over is not used, but replaced', async () => {
  const { world, issue, start, keeper } = await keeping();
  keeper.close();
  const old = await issue();
  await world.advance(11 * dayMs);
  const late = start(old);
  assert.equal(late.current(), undefined);
  const fresh = await late.first;
  assert.ok(new X509Certificate(fresh.certificate).validToDate.getTime() > world.clock.now());
  late.close();
});

test('closed, it asks no more and tells who waits', async () => {
  const { world, authority, start, keeper } = await keeping();
  keeper.close();
  authority.outOfOrder = true;
  const waiting = start();
  await world.advance(5_000);
  waiting.close();
  await assert.rejects(waiting.first, /no longer looked after/);
  const asked = authority.asked;
  await world.advance(60 * 60_000);
  assert.equal(authority.asked, asked);
});

test('one that cannot be written is used all the same', async () => {
  const { world, issue, keeper } = await keeping();
  keeper.close();
  const keep = (): never => {
    throw new Error('no space left on device');
  };
  const full = keepCertificate({ world, log: world.log, name: 'kubelet', kept: undefined, obtain: issue, keep });
  const first = await full.first;
  assert.equal(full.current(), first);
  full.close();
});
