import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { PriorityLevelConfiguration } from '../../api/kinds.ts';
import { ApiError } from '../../machinery/errors.ts';
import { simulatedWorld } from '../../world/simulated.ts';
import { bootstrap } from '../bootstrap/bootstrap.ts';
import type { User } from '../request.ts';
import { Fixture } from '../verbs/fixture.ts';
import type { Classified } from './classify.ts';
import { FlowControl } from './flow-control.ts';
import { dealHand, PriorityLevel, type LevelSettings } from './priority-level.ts';

let fixture: Fixture;
let flowControl: FlowControl;

before(async () => {
  fixture = await Fixture.open();
  await bootstrap(fixture.verbs, { serviceCidr: '10.96.0.0/16' });
  flowControl = new FlowControl({ world: fixture.world, objects: fixture.verbs.objects, seats: 600 });
});

after(() => fixture.close());

function user(name: string, ...groups: string[]): User {
  return { name, uid: '', groups: [...groups, 'system:authenticated'], extra: {} };
}

function request(what: Partial<Classified>): Classified {
  return { verb: 'get', group: '', resource: '', subresource: '', namespace: '', path: '', ...what };
}

const pods = request({ resource: 'pods', namespace: 'a' });
const lease = request({ verb: 'update', group: 'coordination.k8s.io', resource: 'leases', namespace: 'a' });
const node = user('system:node:n1', 'system:nodes');
const account = user('system:serviceaccount:a:b', 'system:serviceaccounts');
const systemAccount = user('system:serviceaccount:kube-system:b', 'system:serviceaccounts');

const cases: readonly (readonly [string, User, Classified])[] = [
  ['exempt', user('admin', 'system:masters'), pods],
  ['probes', user('x'), request({ path: '/readyz' })],
  ['system-leader-election', user('system:kube-scheduler'), lease],
  ['kube-scheduler', user('system:kube-scheduler'), pods],
  ['system-node-high', node, request({ verb: 'patch', resource: 'nodes', subresource: 'status' })],
  ['system-node-high', node, lease],
  ['system-nodes', node, pods],
  ['kube-system-service-accounts', systemAccount, pods],
  ['service-accounts', account, pods],
  ['global-default', user('jane'), pods],
  ['global-default', user('jane'), request({ path: '/version' })],
  ['catch-all', { name: 'x', uid: '', groups: [], extra: {} }, pods],
];

for (const [schema, who, what] of cases) {
  test(`${what.verb} ${what.path}${what.resource} by ${who.name} is of ${schema}`, () => {
    assert.equal(flowControl.classify(who, what)?.schema.metadata.name, schema);
  });
}

test('a new schema counts at once', async () => {
  const spec = {
    priorityLevelConfiguration: { name: 'system' },
    matchingPrecedence: 50,
    rules: [
      {
        subjects: [{ kind: 'User', user: { name: 'jane' } }],
        resourceRules: [{ verbs: ['list'], apiGroups: ['*'], resources: ['pods'], namespaces: ['a'] }],
      },
    ],
  };
  await fixture.post('/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas', { metadata: { name: 'special' }, spec });
  const jane = user('jane');
  assert.equal(flowControl.classify(jane, { ...pods, verb: 'list' })?.level.settings.name, 'system');
  assert.equal(flowControl.classify(jane, pods)?.schema.metadata.name, 'global-default');
});

test("seats are shared by the levels' shares", () => {
  flowControl.classify(account, pods);
  const seats = Object.fromEntries([...flowControl.allLevels()].map(({ settings }) => [settings.name, settings.seats]));
  assert.equal(fixture.verbs.objects.list(PriorityLevelConfiguration).length, 8);
  assert.deepEqual(
    [seats['workload-low'], seats['system'], seats['catch-all'], seats['exempt']],
    [Math.ceil((600 * 100) / 245), Math.ceil((600 * 30) / 245), Math.ceil((600 * 5) / 245), 0],
  );
});

const small: LevelSettings = {
  name: 'small',
  uid: 'u',
  exempt: false,
  seats: 2,
  lendable: 0,
  borrowable: 0,
  queues: 8,
  handSize: 2,
  queueLength: 3,
};

test('a flood fills its own queues and is refused; another flow is served', async () => {
  const world = simulatedWorld(1);
  const level = new PriorityLevel(small, world.clock, () => 0);
  assert.ok(level.tryEnter() && level.tryEnter());
  assert.equal(level.tryEnter(), false);
  const order: string[] = [];
  const outcomes = ['flood', 'flood', 'flood', 'flood', 'flood', 'flood', 'flood', 'other'].map((flow) =>
    level.enter(flow).then(
      () => order.push(flow),
      (error: unknown) => error,
    ),
  );
  // Two queues of three for the flood: the seventh is refused at once.
  const refused = await outcomes[6];
  assert.ok(refused instanceof ApiError);
  assert.equal(refused.code, 429);
  assert.equal(refused.details?.retryAfterSeconds, 1);
  assert.equal(level.waiting, 7);
  for (let i = 0; i < 4; i++) level.leave();
  await outcomes[7];
  assert.ok(order.length <= 4 && order.includes('other'), order.join());
  for (let i = 0; i < 5; i++) level.leave();
  await Promise.all(outcomes);
  assert.deepEqual([level.inUse, level.waiting, world.pendingTimers()], [0, 0, 0]);
});

test('nobody waits for ever', async () => {
  const world = simulatedWorld(1);
  const level = new PriorityLevel({ ...small, seats: 0 }, world.clock, () => 0);
  const outcome = level.enter('x').then(
    () => 0,
    (error: unknown) => (error instanceof ApiError ? error.code : 0),
  );
  await world.advance(14_999);
  assert.equal(level.waiting, 1);
  await world.advance(2);
  assert.equal(await outcome, 429);
  assert.equal(level.waiting, 0);
});

test('an idle level lends, a level without queues refuses', async () => {
  const world = simulatedWorld(1);
  let idle = 1;
  const level = new PriorityLevel({ ...small, borrowable: 5, queues: 0 }, world.clock, () => idle);
  assert.ok(level.tryEnter() && level.tryEnter() && level.tryEnter());
  idle = 0;
  assert.equal(level.tryEnter(), false);
  await assert.rejects(level.enter('x'), (error: unknown) => error instanceof ApiError && error.code === 429);
});

test('hands are dealt without repeats, and always the same', () => {
  const hand = dealHand('flow', 128, 6);
  assert.equal(new Set(hand).size, 6);
  assert.ok(hand.every((index) => index >= 0 && index < 128));
  assert.deepEqual(dealHand('flow', 128, 6), hand);
  assert.notDeepEqual(dealHand('other', 128, 6), hand);
});
