/** A flood by one client over HTTPS: it is told to slow down, others are served, and people can look at what happens. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { realWorld } from '../../src/world/real.ts';
import { type HttpsStub, startHttpsStub } from './https-stub.ts';
import { configMap, startTestServer, type TestServer } from './server.ts';

let webhook: HttpsStub;
let server: TestServer;

const flowControl = '/apis/flowcontrol.apiserver.k8s.io/v1';

before(async () => {
  // A request keeps its seat while the webhook is asked: as long as a round trip.
  webhook = await startHttpsStub(realWorld({ level: 'silent' }));
  webhook.answer = (_path, { spec }) => ({ status: { allowed: spec.groups?.includes('crowd') === true } });
  const user = (name: string): { name: string; uid: string; groups: string[]; extra: {} } => ({ name, uid: '', groups: ['crowd'], extra: {} });
  server = await startTestServer({
    staticTokens: new Map(['flood', 'calm'].map((name) => [name, user(name)])),
    authorizers: [{ mode: 'RBAC' }, { mode: 'Webhook', webhook: { server: webhook.url, ca: webhook.ca, authorizedTtlMs: 0, unauthorizedTtlMs: 0 } }],
  });
  const queuing = { queues: 16, handSize: 2, queueLengthLimit: 5 };
  const limited = { nominalConcurrencyShares: 1, lendablePercent: 0, borrowingLimitPercent: 0, limitResponse: { type: 'Queue', queuing } };
  const level = { metadata: { name: 'crowd' }, spec: { type: 'Limited', limited } };
  assert.equal((await server.send(`${flowControl}/prioritylevelconfigurations`, { method: 'POST', body: level })).code, 201);
  const rules = [
    {
      subjects: [{ kind: 'Group', group: { name: 'crowd' } }],
      resourceRules: [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'], namespaces: ['*'], clusterScope: true }],
    },
  ];
  const spec = { priorityLevelConfiguration: { name: 'crowd' }, matchingPrecedence: 10, distinguisherMethod: { type: 'ByUser' }, rules };
  assert.equal((await server.send(`${flowControl}/flowschemas`, { method: 'POST', body: { metadata: { name: 'crowd' }, spec } })).code, 201);
  await server.send('/api/v1/namespaces/default/configmaps', { method: 'POST', body: configMap('x') });
});

after(async () => {
  await server.close();
  await webhook.close();
});

const read = '/api/v1/namespaces/default/configmaps/x';

test('a flood is refused with 429 and Retry-After; somebody else is served every time', async () => {
  const state = { flooding: true };
  const codes = new Map<number, number>();
  let retryAfter: string | undefined;
  const flood = async (): Promise<void> => {
    while (state.flooding) {
      const reply = await server.send(read, { token: 'flood' });
      codes.set(reply.code, (codes.get(reply.code) ?? 0) + 1);
      if (reply.code === 429) retryAfter ??= reply.headers['retry-after'];
    }
  };
  const floods = Array.from({ length: 60 }, flood);
  const calm: number[] = [];
  for (let i = 0; i < 20; i++) calm.push((await server.send(read, { token: 'calm' })).code);
  state.flooding = false;
  await Promise.all(floods);
  assert.deepEqual(new Set(calm), new Set([200]), 'who asks one thing at a time is never refused');
  assert.ok((codes.get(429) ?? 0) > 0, JSON.stringify([...codes]));
  assert.ok((codes.get(200) ?? 0) > 0, 'the flood itself gets its share');
  assert.equal(retryAfter, '1');
});

test('what it does is shown in the debug tables, to those who may see it', async () => {
  const { text } = await server.send('/debug/api_priority_and_fairness/dump_priority_levels');
  const [head = '', ...rows] = text.trimEnd().split('\n');
  assert.match(
    head,
    /^PriorityLevelName, +ActiveQueues, +IsIdle, +IsQuiescing, +WaitingRequests, +ExecutingRequests, +DispatchedRequests, +RejectedRequests/,
  );
  const crowd = rows.find((row) => row.startsWith('crowd,'))?.split(/, */) ?? [];
  assert.deepEqual(crowd.slice(1, 6), ['0', 'true', 'false', '0', '0']);
  assert.ok(Number(crowd[6]) > 0 && Number(crowd[7]) > 0, crowd.join());
  assert.match((await server.send('/debug/api_priority_and_fairness/dump_queues')).text, /^PriorityLevelName, +Index, +PendingRequests/);
  assert.match((await server.send('/debug/api_priority_and_fairness/dump_requests?includeRequestDetails=1')).text, /UserName, Verb, APIPath/);
  assert.equal((await server.send('/debug/api_priority_and_fairness/dump_queues', { identity: undefined })).code, 403);
});

test('every schema says whether its level is there', async () => {
  const { items } = (await server.send(`${flowControl}/flowschemas`)).json;
  for (const { metadata, status } of items) assert.equal(status.conditions?.[0]?.reason, 'Found', metadata.name);
  await server.send(`${flowControl}/prioritylevelconfigurations/crowd`, { method: 'DELETE' });
  for (let round = 0; round < 100; round++) {
    const { status } = (await server.send(`${flowControl}/flowschemas/crowd`)).json;
    if (status.conditions[0].status === 'True') return;
  }
  assert.fail('the schema does not say that its level is gone');
});
