/** What a Service promises, seen in packets: each behaviour of the service proxy in a lab of network namespaces (`support/service-lab.ts`). */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { V1ServiceSpec } from '../src/api/types.ts';
import { eventually } from './support/cluster-under-test.ts';
import { crc32c, initAckPacket, initPacket, perlClient, perlServer } from './support/sctp-packets.ts';
import { type Endpoint, ServiceLab } from './support/service-lab.ts';

let lab: ServiceLab;

before(async () => {
  lab = await ServiceLab.start('traffic', { zone: 'a' });
});

after(() => lab.close());

const both = { clusterIP: '10.96.0.7', clusterIPs: ['10.96.0.7', 'fd00:96::7'], ipFamilies: ['IPv4', 'IPv6'] };
const tcp = { name: 'http', port: 80, protocol: 'TCP', nodePort: 30080 };
const [one, two, far]: readonly [Endpoint, Endpoint, Endpoint] = [{ pod: 'one' }, { pod: 'two' }, { pod: 'far' }];
const clusterUrls = ['http://10.96.0.7/', 'http://[fd00:96::7]/'];
const nodeUrls = ['http://192.0.2.1:30080/', 'http://[fd00:2::1]:30080/'];
const balancerUrls = ['http://198.51.100.9/', 'http://[fd00:5::9]/'];
const balancerIps = ['198.51.100.9', 'fd00:5::9'];

const times = (count: number, urls: readonly string[]): string[] => Array.from({ length: count }, () => urls).flat();
/** The names that answered, each once. */
const names = (answers: readonly string[]): string[] => [...new Set(answers.map((answer) => answer.split(' ')[0] ?? ''))].sort();

/** The Service for the time of the check. */
async function withService(spec: V1ServiceSpec, endpoints: readonly Endpoint[], check: () => Promise<void>): Promise<void> {
  await lab.set('web', { ...both, ports: [tcp], ...spec }, endpoints, ...(spec.type === 'LoadBalancer' ? balancerIps : []));
  try {
    await check();
  } finally {
    await lab.remove('web');
  }
}

test('a cluster IP leads pods to all endpoints as themselves, and others by way of the node', () =>
  withService({}, [one, two, far], async () => {
    assert.deepEqual(names(await lab.ask('one', times(24, clusterUrls))), ['far', 'one', 'two']);
    assert.deepEqual(names(await lab.ask('node', times(24, clusterUrls))), ['far', 'one', 'two']);
    const toFar = (await lab.ask('two', times(24, clusterUrls))).filter((answer) => answer.startsWith('far'));
    assert.deepEqual([...new Set(toFar)].sort(), ['far 10.244.0.6', 'far fd00:1::6']);
    const outside = (await lab.ask('outside', times(24, clusterUrls))).filter((answer) => answer.startsWith('far'));
    assert.deepEqual([...new Set(outside)].sort(), ['far 10.244.0.1', 'far fd00:1::1']);
  }));

test('a pod reaches itself through its Service, and sees another than itself', () =>
  withService({}, [one], async () => assert.deepEqual(await lab.ask('one', clusterUrls), ['one 10.244.0.1', 'one fd00:1::1'])));

test('without endpoints, and on a port that no Service has, a client is refused at once: TCP and UDP, on every kind of address', () =>
  withService(
    { type: 'LoadBalancer', externalIPs: ['203.0.113.7'], ports: [tcp, { name: 'udp', port: 53, protocol: 'UDP', nodePort: 30053 }] },
    [],
    async () => {
      const http = [...clusterUrls, ...nodeUrls, ...balancerUrls, 'http://203.0.113.7/', 'http://10.96.0.7:81/', 'http://[fd00:96::7]:81/'];
      const udp = ['udp://10.96.0.7:53', 'udp://[fd00:96::7]:53', 'udp://192.0.2.1:30053', 'udp://198.51.100.9:53', 'udp://203.0.113.7:53'];
      for (const place of ['outside', 'one'] as const) {
        const answers = await lab.ask(place, [...http, ...udp], { parallel: 1 });
        assert.deepEqual(names(answers), ['ECONNREFUSED'], `${place}: ${answers.join()}`);
      }
    },
  ));

test('a Service whose labels give it to another proxy, or to none, is left alone, and taken back without them', () =>
  withService({ type: 'NodePort' }, [one], async () => {
    const urls = ['http://10.96.0.7/', 'http://192.0.2.1:30080/'];
    assert.deepEqual(names(await lab.ask('two', urls)), ['one']);
    for (const label of ['service.kubernetes.io/service-proxy-name', 'service.kubernetes.io/headless']) {
      await lab.label('web', { [label]: '' });
      assert(!(await lab.ask('two', urls)).some((answer) => answer.startsWith('one')), label);
      await lab.label('web', {});
      assert.deepEqual(names(await lab.ask('two', urls)), ['one']);
    }
  }));

test('UDP is led and answered like TCP', () =>
  withService({ type: 'NodePort', ports: [{ name: 'udp', port: 53, protocol: 'UDP', nodePort: 30053 }] }, [two], async () => {
    assert.deepEqual(await lab.ask('one', ['udp://10.96.0.7:53', 'udp://[fd00:96::7]:53']), ['two 10.244.0.5', 'two fd00:1::5']);
    assert.deepEqual(await lab.ask('outside', ['udp://192.0.2.1:30053', 'udp://[fd00:2::1]:30053']), ['two 10.244.0.1', 'two fd00:1::1']);
  }));

test('endpoints that end serve while nothing else does, and no longer', async () => {
  const ending: Endpoint = { pod: 'one', more: { conditions: { ready: false, serving: true, terminating: true } } };
  const gone: Endpoint = { pod: 'far', more: { conditions: { ready: false, serving: false, terminating: true } } };
  await withService({}, [ending, gone], async () => assert.deepEqual(names(await lab.ask('outside', times(6, clusterUrls))), ['one']));
  await withService({}, [ending, two, gone], async () => assert.deepEqual(names(await lab.ask('outside', times(6, clusterUrls))), ['two']));
});

test('hints keep traffic in the zone (PreferSameZone) or on the node (PreferSameNode), unless nothing is meant for here', async () => {
  const inZone = (pod: Endpoint['pod'], zone: string): Endpoint => ({ pod, more: { hints: { forZones: [{ name: zone }] } } });
  const onNode = (pod: Endpoint['pod'], node: string): Endpoint => ({ pod, more: { hints: { forNodes: [{ name: node }] } } });
  const reached = async (): Promise<string[]> => names(await lab.ask('outside', times(16, clusterUrls)));
  await withService({}, [inZone('one', 'b'), inZone('far', 'a')], async () => assert.deepEqual(await reached(), ['far']));
  await withService({}, [onNode('one', 'here'), onNode('far', 'there')], async () => assert.deepEqual(await reached(), ['one']));
  await withService({}, [inZone('one', 'b'), inZone('far', 'c')], async () => assert.deepEqual(await reached(), ['far', 'one']));
});

test('internalTrafficPolicy Local keeps to this node, and where it has nobody is silent; clients from outside are not meant', async () => {
  const spec = { type: 'NodePort', internalTrafficPolicy: 'Local' };
  await withService(spec, [one, far], async () => {
    assert.deepEqual(names(await lab.ask('two', times(8, clusterUrls))), ['one']);
    assert.deepEqual(names(await lab.ask('outside', times(12, nodeUrls))), ['far', 'one']);
  });
  await withService(spec, [far], async () => {
    assert.deepEqual(names(await lab.ask('two', clusterUrls)), ['nothing']);
    assert.deepEqual(names(await lab.ask('outside', nodeUrls)), ['far']);
  });
});

test('externalTrafficPolicy Cluster hides the client behind the node, Local shows it and uses this node’s endpoints only', async () => {
  const urls = [...nodeUrls, ...balancerUrls];
  await withService({ type: 'LoadBalancer' }, [one], async () =>
    assert.deepEqual(await lab.ask('outside', urls), ['one 10.244.0.1', 'one fd00:1::1', 'one 10.244.0.1', 'one fd00:1::1']),
  );
  const local = { type: 'LoadBalancer', externalTrafficPolicy: 'Local' };
  await withService(local, [one, far], async () => {
    const answers = await lab.ask('outside', times(6, urls));
    assert.deepEqual(names(answers), ['one']);
    for (const [index, answer] of answers.entries()) assert.match(answer, index % 2 === 0 ? /^one 192\.0\.2\.(9|10)$/ : /^one fd00:2::(9|10)$/);
    // Pods and the node are no clients from outside: they reach all endpoints.
    assert.deepEqual(names(await lab.ask('two', times(12, urls))), ['far', 'one']);
    assert.deepEqual(names(await lab.ask('node', times(12, urls))), ['far', 'one']);
  });
  await withService(local, [far], async () => {
    assert.deepEqual(names(await lab.ask('outside', urls)), ['nothing']);
    assert.deepEqual(names(await lab.ask('two', urls)), ['far']);
  });
  // What ends on this node still serves, though others are ready elsewhere: the balancer may not have heard.
  const ending: Endpoint = { pod: 'one', more: { conditions: { ready: false, serving: true, terminating: true } } };
  await withService(local, [ending, far], async () => {
    assert.deepEqual(names(await lab.ask('outside', times(4, urls))), ['one']);
    assert.deepEqual(names(await lab.ask('two', times(4, clusterUrls))), ['far']);
  });
});

test('Local and Local: inside and outside keep to this node each by its own policy', () =>
  withService({ type: 'LoadBalancer', externalTrafficPolicy: 'Local', internalTrafficPolicy: 'Local' }, [one, far], async () => {
    assert.deepEqual(names(await lab.ask('two', times(8, clusterUrls))), ['one']);
    assert.deepEqual(names(await lab.ask('two', times(12, balancerUrls))), ['far', 'one']);
  }));

test('loadBalancerSourceRanges stand before the balancer’s address only', () =>
  withService({ type: 'LoadBalancer', loadBalancerSourceRanges: ['192.0.2.10/32', 'fd00:2::10/128'] }, [one], async () => {
    assert.deepEqual(names(await lab.ask('outside', ['http://198.51.100.9/'], { from: '192.0.2.9' })), ['nothing']);
    assert.deepEqual(names(await lab.ask('outside', ['http://[fd00:5::9]/'], { from: 'fd00:2::9' })), ['nothing']);
    assert.deepEqual(names(await lab.ask('outside', ['http://198.51.100.9/'], { from: '192.0.2.10' })), ['one']);
    assert.deepEqual(names(await lab.ask('outside', ['http://[fd00:5::9]/'], { from: 'fd00:2::10' })), ['one']);
    assert.deepEqual(names(await lab.ask('outside', [...clusterUrls, ...nodeUrls])), ['one']);
  }));

test('an external IP leads to the Service from everywhere, and two Services that ask for the same disturb nobody', () =>
  withService({ externalIPs: ['203.0.113.7', 'fd00:6::7'] }, [one], async () => {
    const urls = ['http://203.0.113.7/', 'http://[fd00:6::7]/'];
    for (const place of ['outside', 'two', 'node'] as const) assert.deepEqual(names(await lab.ask(place, urls)), ['one'], place);
    const ports = [{ name: 'http', port: 80, protocol: 'TCP' }];
    // It also reaches for a cluster IP that is another's.
    const rival = { clusterIP: '10.96.0.8', clusterIPs: ['10.96.0.8'], externalIPs: ['203.0.113.7', '10.96.0.7'], ports };
    await lab.set('a-rival', rival, [two]);
    assert.deepEqual(names(await lab.ask('outside', [...clusterUrls, 'http://[fd00:6::7]/'])), ['one']);
    assert.deepEqual(names(await lab.ask('outside', ['http://203.0.113.7/', 'http://10.96.0.8/'])), ['two']);
    await lab.remove('a-rival');
    assert.deepEqual(names(await lab.ask('outside', urls)), ['one']);
    assert.equal(lab.proxy.metrics.failures, 0);
  }));

test('session affinity keeps a client with its endpoint, until it has been silent for the time', () =>
  withService(
    { type: 'NodePort', sessionAffinity: 'ClientIP', sessionAffinityConfig: { clientIP: { timeoutSeconds: 1 } } },
    [one, two, far],
    async () => {
      const urls = ['http://10.96.0.7/', 'http://192.0.2.1:30080/'];
      const seen = new Set<string>();
      await eventually('another endpoint after the time', async () => {
        const [name, ...others] = names(await lab.ask('outside', times(10, urls), { from: '192.0.2.9' }));
        assert.deepEqual(others, [], 'all of them went to one');
        seen.add(name ?? '');
        if (seen.size > 1) return true;
        await eventually('the client is forgotten', async () => {
          const known = await lab.inside('node', 'nft', 'list', 'table', 'ip', 'services');
          return known.includes('192.0.2.9 ') ? undefined : true;
        });
        return undefined;
      });
      const [first] = names(await lab.ask('outside', ['http://[fd00:96::7]/'], { from: 'fd00:2::9' }));
      assert.deepEqual(names(await lab.ask('outside', times(6, ['http://[fd00:96::7]/']), { from: 'fd00:2::9' })), [first]);
    },
  ));

test('a node port is the Service’s though a program on the node listens there, and the program’s again without the Service', async () => {
  const program = lab.start(
    'node',
    process.execPath,
    '-e',
    "require('node:http').createServer((q, r) => r.setHeader('connection', 'close').end('program')).listen(30080)",
  );
  try {
    await eventually('the program answers', async () =>
      (await lab.ask('outside', nodeUrls)).every((text) => text === 'program') ? true : undefined,
    );
    await withService({ type: 'NodePort' }, [one], async () => {
      assert.deepEqual(names(await lab.ask('outside', nodeUrls)), ['one']);
      // What is asked for on loopback is the node's own affair.
      assert.deepEqual(await lab.ask('node', ['http://127.0.0.1:30080/', 'http://[::1]:30080/']), ['program', 'program']);
    });
    assert.deepEqual(names(await lab.ask('outside', nodeUrls)), ['program']);
  } finally {
    program.kill();
  }
});

test('no connection fails while endpoints come and go', () =>
  withService({ type: 'NodePort' }, [one, two, far], async () => {
    const asked = lab.ask('outside', times(250, [...clusterUrls, ...nodeUrls]), { parallel: 4 });
    let done = false;
    void asked.finally(() => (done = true));
    const states = [[one], [one, two], [one, two, far], [two, far], [far], [one, far]];
    let rounds = 0;
    while (!done) await lab.set('web', { ...both, type: 'NodePort', ports: [tcp] }, states[rounds++ % states.length] ?? []);
    assert.deepEqual(names(await asked), ['far', 'one', 'two']);
    assert(rounds > states.length, `${rounds} changes`);
  }));

test('SCTP is led to an endpoint and its answer comes back as the Service’s, over a cluster IP and a node port', async () => {
  const [clientPort, servicePort, port] = [4321, 132, 5000];
  const server = lab.start('two', 'perl', '-e', perlServer, String(port), initAckPacket(port).toString('hex'));
  const heard: string[] = [];
  server.stdout?.setEncoding('utf8').on('data', (text: string) => heard.push(...text.trim().split('\n')));
  try {
    await eventually('the server listens', () => Promise.resolve(heard.includes('ready') ? true : undefined));
    await withService({ type: 'NodePort', ports: [{ name: 'sctp', port: servicePort, protocol: 'SCTP', nodePort: 30132 }] }, [two], async () => {
      for (const [place, address, asked] of [['one', '10.96.0.7', servicePort] as const, ['outside', '192.0.2.1', 30_132] as const]) {
        const packet = initPacket(clientPort, asked).toString('hex');
        const [from, bytes = ''] = (await lab.inside(place, 'perl', '-e', perlClient, address, packet)).trim().split(' ');
        assert.equal(from, address);
        const got = Buffer.from(bytes, 'hex');
        assert.deepEqual(
          [got.readUInt16BE(0), got.readUInt16BE(2), got.readUInt8(12)],
          [asked, clientPort, 2],
          'an INIT ACK from the Service’s port',
        );
        assert.equal(
          got.readUInt32LE(8),
          crc32c(Buffer.concat([got.subarray(0, 8), Buffer.alloc(4), got.subarray(12)])),
          'with the checksum put right',
        );
      }
      assert.deepEqual(heard.slice(1), ['10.244.0.5', '10.244.0.1']);
    });
  } finally {
    server.kill();
  }
});

test('node ports answer on the addresses they are given, and on others not', async () => {
  const narrow = await ServiceLab.start('ports', { nodePortAddresses: ['192.0.2.0/24'] });
  try {
    await narrow.set('web', { ...both, type: 'NodePort', ports: [tcp] }, [one]);
    assert.deepEqual(names(await narrow.ask('outside', ['http://192.0.2.1:30080/'])), ['one']);
    const others = ['http://10.244.0.1:30080/', 'http://[fd00:2::1]:30080/'];
    assert.deepEqual(await narrow.ask('outside', others), ['ECONNREFUSED', 'ECONNREFUSED']);
    assert.deepEqual(names(await narrow.ask('outside', clusterUrls)), ['one']);
  } finally {
    await narrow.close();
  }
});
