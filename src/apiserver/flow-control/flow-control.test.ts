import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { FlowSchema, Pod, PriorityLevelConfiguration } from '../../api/kinds.ts';
import { ApiError } from '../../machinery/errors.ts';
import { simulatedWorld } from '../../world/simulated.ts';
import { bootstrap, bootstrapFlowControl } from '../bootstrap/bootstrap.ts';
import type { Attributes } from '../authorization/authorizer.ts';
import type { User } from '../request.ts';
import { Fixture } from '../verbs/fixture.ts';
import type { Classified } from './classify.ts';
import { FlowControl } from './flow-control.ts';
import { dealHand, type Flow, PriorityLevel, type LevelSettings } from './priority-level.ts';
import { danglingCondition, flowControlUpkeep } from './upkeep.ts';
import { widthOf } from './width.ts';

let fixture: Fixture;
let flowControl: FlowControl;

before(async () => {
  fixture = await Fixture.open();
  await bootstrap(fixture.verbs, { serviceCidr: '10.96.0.0/16', nowMs: fixture.world.clock.now() });
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

const flowOf = (distinguisher: string): Flow => ({ schema: 's', distinguisher });

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
    level.enter(flowOf(flow)).then(
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
  const outcome = level.enter(flowOf('x')).then(
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
  await assert.rejects(level.enter(flowOf('x')), (error: unknown) => error instanceof ApiError && error.code === 429);
});

test('hands are dealt without repeats, and always the same', () => {
  const hand = dealHand('flow', 128, 6);
  assert.equal(new Set(hand).size, 6);
  assert.ok(hand.every((index) => index >= 0 && index < 128));
  assert.deepEqual(dealHand('flow', 128, 6), hand);
  assert.notDeepEqual(dealHand('other', 128, 6), hand);
});

test('a wide request waits for as many seats, and nobody narrow passes it by', async () => {
  const world = simulatedWorld(1);
  const level = new PriorityLevel({ ...small, seats: 3 }, world.clock, () => 0);
  assert.ok(level.tryEnter(2));
  assert.equal(level.tryEnter(2), false);
  const order: string[] = [];
  const wide = level.enter(flowOf('wide'), 3).then(() => order.push('wide'));
  assert.equal(level.tryEnter(1), false, 'a free seat is kept for who waits');
  const narrow = level.enter(flowOf('narrow'), 1).then(() => order.push('narrow'));
  level.leave(2);
  await wide;
  assert.equal(level.inUse, 3);
  level.leave(3);
  await narrow;
  assert.deepEqual(order, ['wide', 'narrow']);
  level.leave(1);
  assert.deepEqual([level.inUse, level.executing, level.waiting], [0, 0, 0]);
});

test('a request wider than its level goes alone', () => {
  const level = new PriorityLevel(small, simulatedWorld(1).clock, () => 0);
  assert.equal(level.tryEnter(10), true);
  assert.equal(level.tryEnter(1), false);
  level.leave(10);
  assert.equal(level.tryEnter(1), true);
});

test('flows that wait get the same, however many requests each has', async () => {
  const world = simulatedWorld(1);
  const level = new PriorityLevel({ ...small, seats: 1, queues: 64, handSize: 1, queueLength: 50 }, world.clock, () => 0);
  assert.ok(level.tryEnter());
  const served: Record<string, number> = { flood: 0, calm: 0 };
  const enter = (flow: string): Promise<void> =>
    level.enter(flowOf(flow)).then(() => {
      served[flow] = (served[flow] ?? 0) + 1;
    });
  const waiting = [...Array.from({ length: 40 }, () => enter('flood')), ...Array.from({ length: 10 }, () => enter('calm'))];
  for (let i = 0; i < 20; i++) level.leave();
  await Promise.resolve();
  await Promise.resolve();
  assert.deepEqual(served, { flood: 10, calm: 10 });
  for (let i = 0; i < 31; i++) level.leave();
  await Promise.all(waiting);
  assert.equal(level.inUse, 0);
});

test('seats are never more than there are, whatever comes and goes', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.constantFrom('enter', 'leave'), fc.integer({ min: 1, max: 4 }), fc.constantFrom('a', 'b', 'c')), { maxLength: 60 }),
      (steps) => {
        const level = new PriorityLevel({ ...small, seats: 4 }, simulatedWorld(1).clock, () => 0);
        const held: number[] = [];
        for (const [what, seats, flow] of steps) {
          if (what === 'leave') {
            const gone = held.pop();
            if (gone !== undefined) level.leave(gone);
          } else if (level.tryEnter(seats)) held.push(seats);
          else
            level.enter(flowOf(flow), seats).then(
              () => held.push(seats),
              () => undefined,
            );
          assert.ok(level.inUse >= 0 && level.inUse <= 4 && level.waiting >= 0);
        }
        level.close();
      },
    ),
    { numRuns: 100 },
  );
});

function attributes(what: Partial<Attributes>): Attributes {
  return {
    user: user('jane'),
    verb: 'list',
    group: '',
    version: 'v1',
    resource: 'pods',
    subresource: '',
    namespace: '',
    name: '',
    path: '',
    ...what,
  };
}

const counts = { kindAt: () => Pod, count: (_kind: unknown, namespace?: string) => (namespace === undefined ? 5000 : 150) };

const widths: readonly (readonly [string, Partial<Attributes>, string, number])[] = [
  ['a get', { verb: 'get', name: 'x' }, '', 1],
  ['a list of everything', {}, '', 10],
  ['a list of a namespace', { namespace: 'a' }, '', 2],
  ['a page', {}, 'limit=250', 3],
  ['a page with a selector, which may go through everything', {}, 'labelSelector=a&limit=250', 10],
  ['a list of one name', { name: 'x' }, 'fieldSelector=metadata.name%3Dx', 1],
  ['a watch', { verb: 'watch' }, 'watch=true', 1],
  ['a watch that begins with a list', { verb: 'watch' }, 'watch=true&sendInitialEvents=true', 10],
  ['a write', { verb: 'create' }, '', 1],
];

for (const [name, what, queryText, seats] of widths) {
  test(`${name} takes ${seats} seat${seats === 1 ? '' : 's'}`, () => assert.equal(widthOf(counts, attributes(what), queryText), seats));
}

test('a schema says whether its level is there, and the time stays while the answer does', () => {
  const schema = { metadata: {}, spec: { priorityLevelConfiguration: { name: 'gone' } }, status: {} } as FlowSchema;
  const condition = danglingCondition(schema, false, 0);
  assert.deepEqual([condition?.status, condition?.reason, condition?.lastTransitionTime], ['True', 'NotFound', '1970-01-01T00:00:00Z']);
  assert.ok(condition);
  const known = { ...schema, status: { conditions: [condition] } };
  assert.equal(danglingCondition(known, false, 60_000), undefined);
  assert.deepEqual(
    [danglingCondition(known, true, 60_000)?.status, danglingCondition(known, true, 60_000)?.lastTransitionTime],
    ['False', '1970-01-01T00:01:00Z'],
  );
});

test('conditions follow levels, and what no cluster may be without comes back', async () => {
  const upkeep = flowControlUpkeep(fixture.world, fixture.verbs, () => bootstrapFlowControl(fixture.verbs));
  await upkeep.settled();
  const danglingOf = (name: string): string | undefined => fixture.verbs.objects.get(FlowSchema, undefined, name)?.status.conditions?.[0]?.status;
  assert.equal(danglingOf('global-default'), 'False');
  const levels = '/apis/flowcontrol.apiserver.k8s.io/v1/prioritylevelconfigurations';
  await fixture.delete(`${levels}/global-default`);
  await upkeep.settled();
  assert.equal(danglingOf('global-default'), 'True');
  await fixture.delete(`${levels}/catch-all`);
  await upkeep.settled();
  assert.ok(fixture.verbs.objects.get(PriorityLevelConfiguration, undefined, 'catch-all'));
  assert.equal(danglingOf('global-default'), 'False', 'the others come back along');
  upkeep.close();
});
