/**
 * A load balancer's address that moves from a node that died to another: neighbours that remember the old one must hear of it at once. Two nodes and a
 * client, each a network namespace, on the ports of one bridge.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { AddressHolder, removeDevice } from '../src/proxy/address-holder.ts';
import type { Run } from '../src/proxy/neighbour-news.ts';
import { realWorld } from '../src/world/real.ts';
import { eventually } from './support/cluster-under-test.ts';
import { lastWill } from './support/last-will.ts';
import { run } from './support/stock-tools.ts';

const device = 'k8tstestlb';
const name = (place: string): string => `k8ts-arp-${place}-${process.pid}`;
const places = { switch: 0, one: 1, two: 2, client: 3 } as const;
type Place = keyof typeof places;

function inside(place: Place): Run {
  return async (command, args) => {
    const { code, stdout, stderr } = await run('nsenter', [`--net=/run/netns/${name(place)}`, command, ...args]);
    if (code !== 0) throw new Error(`${command} ${args.join(' ')}: ${stderr}`);
    return { stdout };
  };
}

const will = lastWill('for place in switch one two client; do ip netns delete "k8ts-arp-$place-$1"; done', String(process.pid));

const ip = async (place: Place, words: string): Promise<string> => (await inside(place)('ip', words.split(' '))).stdout;

before(async () => {
  for (const place of Object.keys(places)) assert.equal((await run('ip', ['netns', 'add', name(place)])).code, 0);
  await ip('switch', 'link add br0 type bridge');
  await ip('switch', 'link set br0 up');
  for (const place of ['one', 'two', 'client'] as const) {
    await ip('switch', `link add ${place} type veth peer name eth0 netns ${name(place)}`);
    await ip('switch', `link set ${place} master br0 up`);
    await ip(place, `address add 192.0.2.${places[place]}/24 dev eth0`);
    await ip(place, `address add fd00:7::${places[place]}/64 dev eth0 nodad`);
    await ip(place, 'link set eth0 up');
  }
});

after(async () => {
  for (const place of Object.keys(places)) await run('ip', ['netns', 'delete', name(place)]);
  will.withdraw();
});

async function macOf(place: Place): Promise<string> {
  const [link] = JSON.parse(await ip(place, '-json link show eth0')) as { address: string }[];
  return link?.address ?? '';
}

/** Whom the client takes to have the address. */
async function believed(address: string): Promise<string | undefined> {
  const [entry] = JSON.parse((await ip('client', `-json neighbor show ${address}`)) || '[]') as { lladdr?: string }[];
  return entry?.lladdr;
}

/** There is no server: who refuses a connection is there. */
async function reach(address: string): Promise<void> {
  const script = `require('node:net').connect(9, '${address}').on('error', ({ code }) => process.exit(code === 'ECONNREFUSED' ? 0 : 1)).setTimeout(5000, () => process.exit(1))`;
  await inside('client')(process.execPath, ['-e', script]);
}

for (const address of ['192.0.2.200', 'fd00:7::200']) {
  test(`${address} answers where it is held, and neighbours hear when it moves`, async () => {
    const { log } = realWorld({ level: 'silent' });
    const [one, two] = [new AddressHolder(device, log, inside('one')), new AddressHolder(device, log, inside('two'))];
    await one.hold(new Set([address]));
    await one.close();
    await reach(address);
    assert.equal(await believed(address), await macOf('one'));
    // It dies: nobody is there to say goodbye.
    await ip('switch', 'link set one down');
    await two.hold(new Set([address]));
    await two.close();
    await eventually('the client has heard', async () => ((await believed(address)) === (await macOf('two')) ? true : undefined), 5_000);
    await reach(address);
    await two.hold(new Set());
    await two.close();
    assert(!(await ip('two', 'address')).includes(address), 'an address that is given up stands nowhere');
    await ip('switch', 'link set one up');
    await removeDevice(device, inside('one'));
    assert(!(await ip('one', 'address')).includes(address), 'with the device all of its addresses go');
  });
}
