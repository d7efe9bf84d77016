/** Credentials on request and node annotations, against the API server. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { ConfigMap, Node, Pod, Secret, ServiceAccount, TokenReview } from '../../src/api/kinds.ts';
import { timestamp } from '../../src/world/world.ts';
import { type ControlPlane, notFound, readyNode, startControlPlane } from './control-plane.ts';

const type = 'kubernetes.io/service-account-token';
const named = 'kubernetes.io/service-account.name';

describe('a Secret that asks for a token', () => {
  let plane: ControlPlane;
  beforeEach(async () => {
    plane = await startControlPlane();
    await plane.create(ServiceAccount, { metadata: { name: 'robot', namespace: 'default' } });
  });
  afterEach(() => plane.close());

  const ask = () =>
    plane.create(Secret, { metadata: { name: 'robot-token', namespace: 'default', annotations: { [named]: 'robot' } }, type, data: {} });
  const text = ({ data = {} }: Secret, key: string): string => Buffer.from(data[key] ?? '', 'base64').toString();
  const review = async (token: string) => (await plane.create(TokenReview, { metadata: {}, spec: { token } })).status;

  it('gets one that the API server takes, the CA and its namespace', async () => {
    await ask();
    await plane.settle();
    const secret = await plane.get(Secret, 'robot-token');
    const account = await plane.get(ServiceAccount, 'robot');
    assert.equal(secret.metadata.annotations?.['kubernetes.io/service-account.uid'], account.metadata.uid);
    assert.equal(text(secret, 'ca.crt'), 'the CA');
    assert.equal(text(secret, 'namespace'), 'default');
    const status = await review(text(secret, 'token'));
    assert.equal(status?.authenticated, true);
    assert.equal(status?.user?.username, 'system:serviceaccount:default:robot');
    assert.equal(status?.user?.uid, account.metadata.uid);
    assert.deepEqual(plane.complaints, []);
  });

  it('gets another when it is taken out, and the old one is good no more', async () => {
    await ask();
    await plane.settle();
    const before = await plane.get(Secret, 'robot-token');
    const token = text(before, 'token');
    await plane.admin.resource(Secret).namespace('default').delete('robot-token');
    assert.notEqual((await review(token))?.authenticated, true);
    await ask();
    await plane.settle();
    // The account and the Secret's name are the same, so is what is signed: only the signature is another.
    assert.notEqual(text(await plane.get(Secret, 'robot-token'), 'token'), token);
    assert.notEqual((await review(token))?.authenticated, true);
    assert.notEqual((await review(`${token}x`))?.authenticated, true);
  });

  it('goes with the account, and is not kept for one of the same name', async () => {
    await ask();
    await plane.settle();
    const token = text(await plane.get(Secret, 'robot-token'), 'token');
    await plane.admin.resource(ServiceAccount).namespace('default').delete('robot');
    await plane.create(ServiceAccount, { metadata: { name: 'robot', namespace: 'default' } });
    assert.notEqual((await review(token))?.authenticated, true);
    await plane.settle();
    assert.ok(await notFound(plane.get(Secret, 'robot-token')));
  });

  it('goes when there never was such an account', async () => {
    await plane.create(Secret, { metadata: { name: 'lost', namespace: 'default', annotations: { [named]: 'nobody' } }, type, data: {} });
    await plane.settle();
    assert.ok(await notFound(plane.get(Secret, 'lost')));
  });
});

describe('a token that was made for an account unasked', () => {
  const lastUsed = 'kubernetes.io/legacy-token-last-used';
  const invalidSince = 'kubernetes.io/legacy-token-invalid-since';
  const dayMs = 24 * 60 * 60_000;

  it('is noted when used; unused it is marked, then it opens nothing, then it goes', async () => {
    const plane = await startControlPlane({ options: { legacyTokenCleanUpPeriodMs: 2 * dayMs } });
    const today = (): string => timestamp(plane.world.clock.now()).slice(0, 10);
    const notes = await plane.get(ConfigMap, 'kube-apiserver-legacy-service-account-token-tracking', 'kube-system');
    assert.deepEqual(notes.data, { since: today() });
    await plane.create(ServiceAccount, { metadata: { name: 'robot', namespace: 'default' }, secrets: [{ name: 'made' }, { name: 'kept' }] });
    for (const name of ['made', 'kept', 'asked-for'])
      await plane.create(Secret, { metadata: { name, namespace: 'default', annotations: { [named]: 'robot' } }, type, data: {} });
    await plane.create(Pod, {
      metadata: { name: 'user', namespace: 'default' },
      spec: { containers: [{ name: 'c', image: 'c' }], volumes: [{ name: 'v', secret: { secretName: 'kept' } }] },
    });
    await plane.settle();
    const secret = (name: string): Promise<Secret> => plane.get(Secret, name);
    const token = Buffer.from((await secret('made')).data?.['token'] ?? '', 'base64').toString();
    const opens = async (): Promise<boolean> => (await plane.create(TokenReview, { metadata: {}, spec: { token } })).status?.authenticated === true;
    assert.equal(await opens(), true);
    await plane.settle();
    const used = today();
    assert.equal((await secret('made')).metadata.labels?.[lastUsed], used);

    await plane.settle(2 * dayMs);
    assert.equal((await secret('made')).metadata.labels?.[invalidSince], undefined, 'used too lately');
    await plane.settle(dayMs);
    const marked = today();
    assert.equal((await secret('made')).metadata.labels?.[invalidSince], marked);
    assert.equal(await opens(), false);
    await plane.settle(3 * dayMs);
    assert.ok(await notFound(secret('made')));
    for (const name of ['kept', 'asked-for']) assert.equal((await secret(name)).metadata.labels, undefined, name);
    assert.deepEqual(plane.complaints, []);
    await plane.close();
  });
});

describe('nodes', () => {
  it('are told how long kubelets may go on with what they read', async () => {
    const plane = await startControlPlane();
    for (let i = 0; i < 101; i++) await plane.create(Node, readyNode(`n${i}`, plane.world));
    await plane.settle();
    assert.equal((await plane.get(Node, 'n100')).metadata.annotations?.['node.alpha.kubernetes.io/ttl'], '15');
    await plane.close();
  });
});
