/**
 * Any process of k8ts killed with -9 at any moment, again and again, while a deployment changes: what runs goes on and is reached all the while, and what was
 * asked for comes about once the process is back. What is promised is in `docs/faults.md`. `K8TS_KILLS` says how many rounds, `K8TS_SEED` which moments.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { podUidLabel } from '../../src/kubelet/labels.ts';
import { containerdSocket } from '../../src/kubelet/runtime/containerd.ts';
import { criRuntime } from '../../src/kubelet/runtime/cri.ts';
import { realWorld } from '../../src/world/real.ts';
import { simulatedWorld } from '../../src/world/simulated.ts';
import { type ClusterUnderTest, eventually, startClusterUnderTest } from '../support/cluster-under-test.ts';

const rounds = Number(process.env['K8TS_KILLS'] ?? 6);
const seed = Number(process.env['K8TS_SEED'] ?? 1);
const image = 'k8ts.local/hello:1';
type Victim = 'containerd' | 'node-agent' | 'control-plane';
/** One after the other, then all at once. Kubelet, proxy and DNS are one process, the node agent. */
const kills: readonly (readonly Victim[])[] = [['containerd'], ['node-agent'], ['control-plane'], ['containerd', 'node-agent', 'control-plane']];

let cluster: ClusterUnderTest;
before(async () => {
  cluster = await startClusterUnderTest();
});
after(() => cluster.close());

function pidOf(victim: Victim): number {
  if (victim !== 'containerd') return (JSON.parse(readFileSync(join(cluster.dataDir, 'run', `${victim}.json`), 'utf8')) as { pid: number }).pid;
  const directory = join(cluster.dataDir, 'containerd');
  const file = readdirSync(directory).find((name) => name.endsWith('.pid'));
  assert(file !== undefined, 'containerd has written down its process');
  return Number.parseInt(readFileSync(join(directory, file), 'utf8'), 10);
}

/** What tells of a touched container: its ids, how often each was started, and since when it runs. */
const containersOf = (app: string): Promise<string> =>
  cluster.kubectl([
    'get',
    'pods',
    '-l',
    `app=${app}`,
    '-o',
    'jsonpath={range .items[*]}{.metadata.name} {.status.containerStatuses[0].containerID} {.status.containerStatuses[0].restartCount} {.status.containerStatuses[0].state.running.startedAt}{"\\n"}{end}',
  ]);

/** Asks again and again, each time on a new connection, until told to stop. */
class Caller {
  readonly failures: string[] = [];
  answered = 0;
  #done = false;
  readonly #asking: Promise<void>;

  constructor(url: URL) {
    this.#asking = this.#run(url);
  }

  async #run(url: URL): Promise<void> {
    while (!this.#done) {
      try {
        await ask(url);
        this.answered++;
      } catch (error) {
        this.failures.push(String(error));
      }
      await sleep(20);
    }
  }

  async stop(): Promise<void> {
    this.#done = true;
    await this.#asking;
  }
}

function ask(url: URL): Promise<string> {
  return new Promise((resolve, reject) => {
    const call = request(url, { agent: false, timeout: 5000 }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (part: string) => (text += part));
      answer.on('end', () => (answer.statusCode === 200 ? resolve(text) : reject(new Error(`${answer.statusCode} ${text}`))));
      answer.on('error', reject);
    });
    call.on('timeout', () => call.destroy(new Error('no answer in 5 s')));
    call.on('error', reject);
    call.end();
  });
}

test(`whoever is killed, ${rounds} times over: no request is lost, no container touched, and all that was asked for comes about`, async (t) => {
  const { random } = simulatedWorld(seed);
  await cluster.kubectl(`create deployment steady --image=${image} --replicas=2`);
  await cluster.kubectl('expose deployment steady --port=80 --target-port=8080 --type=NodePort');
  await cluster.kubectl(`create deployment busy --image=${image} --replicas=2`);
  // It ends as soon as it is told to.
  await cluster.kubectl(['patch', 'deployment', 'busy', '-p', '{"spec":{"template":{"spec":{"terminationGracePeriodSeconds":1}}}}']);
  for (const name of ['steady', 'busy']) await cluster.kubectl(`rollout status deployment/${name} --timeout=60s`, { timeoutMs: 70_000 });
  const [node, port, serviceAddress] = await Promise.all([
    cluster.kubectl(['get', 'nodes', '-o', 'jsonpath={.items[0].status.addresses[?(@.type=="InternalIP")].address}']),
    cluster.kubectl('get service steady -o jsonpath={.spec.ports[0].nodePort}'),
    cluster.kubectl('get service steady -o jsonpath={.spec.clusterIP}'),
  ]);
  const url = new URL(`http://${node}:${port}/`);
  await eventually('the service answers', () => ask(url));
  const untouched = await containersOf('steady');
  const { id } = JSON.parse(readFileSync(join(cluster.dataDir, 'cluster.json'), 'utf8')) as { id: string };
  const caller = new Caller(url);
  let replicas = 2;
  try {
    for (let round = 0; round < rounds; round++) {
      const victims = kills[round % kills.length] ?? [];
      const change = ['scale', 'restart', 'delete'][random.int(3)];
      const afterMs = random.int(900);
      if (change === 'scale') replicas = replicas === 2 ? 4 : 2;
      const changes: Readonly<Record<string, string>> = {
        scale: `scale deployment busy --replicas=${replicas}`,
        restart: 'rollout restart deployment/busy',
        delete: 'delete pod -l app=busy --wait=false',
      };
      await cluster.kubectl(changes[change ?? ''] ?? '');
      await sleep(afterMs);
      for (const pid of victims.map(pidOf)) process.kill(pid, 'SIGKILL');
      t.diagnostic(`round ${round}: ${change}, and ${victims.join(', ')} killed ${afterMs} ms later`);
      // The node agent looks after containerd. The others would be back by themselves after a while: `up` does not wait for that.
      if (victims.some((victim) => victim !== 'containerd')) await cluster.up();
      await cluster.kubectl('rollout status deployment/busy --timeout=60s', { timeoutMs: 70_000 });
      await eventually(
        'there are just the pods that were asked for, all of them ready',
        async () => {
          const lines = await cluster.kubectl([
            'get',
            'pods',
            '-l',
            'app=busy',
            '-o',
            'jsonpath={range .items[*]}{.metadata.deletionTimestamp}{.status.conditions[?(@.type=="Ready")].status}{"\\n"}{end}',
          ]);
          // What it is instead is the reason that a failure is told with.
          assert.equal(lines, 'True\n'.repeat(replicas), await cluster.kubectl('get pods,events -o wide'));
          return true;
        },
        60_000,
      );
      await eventually(
        'the node holds nothing of any other pod',
        async () => {
          const uids = new Set((await cluster.kubectl(['get', 'pods', '-o', 'jsonpath={.items[*].metadata.uid}'])).split(' '));
          assert.deepEqual(await remainsOf(uids, cluster.dataDir, id), [], 'what is there of pods that are gone');
          return true;
        },
        90_000,
      );
      assert.equal(await containersOf('steady'), untouched, `round ${round}: a container that had nothing to do with it was touched`);
      assert.deepEqual(caller.failures, [], `round ${round}: ${victims.join(', ')} was killed`);
      const resolve = "require('dns').promises.lookup('steady').then(({ address }) => console.log(address))";
      const resolved = await eventually('names are resolved', () => cluster.kubectl(['exec', 'deployment/steady', '--', 'node', '-e', resolve]));
      assert.equal(resolved.trim(), serviceAddress);
    }
  } finally {
    await caller.stop();
  }
  assert.ok(caller.answered > rounds * 10, `${caller.answered} requests were answered`);
  t.diagnostic(`${caller.answered} requests answered`);
  await cluster.kubectl('run ask --image=k8ts.local/hello:1 --restart=Never --command -- node -e 0');
  await cluster.kubectl(['wait', '--for=jsonpath={.status.phase}=Succeeded', 'pod/ask', '--timeout=30s']);
});

/** What the node holds of pods other than these: control groups, sandboxes, containers, directories, logs, addresses. */
async function remainsOf(uids: ReadonlySet<string>, dataDir: string, id: string): Promise<string[]> {
  const runtime = criRuntime({ socket: containerdSocket({ dataDir, clusterId: id }), world: realWorld({ level: 'silent' }) });
  try {
    const [sandboxes, containers] = await Promise.all([runtime.listPodSandboxes(), runtime.listContainers()]);
    const notes = join(dataDir, 'run/ipam', `k8ts-${id}`);
    const known = new Set(sandboxes.map((sandbox) => sandbox.id));
    const isLost = (address: string): boolean => {
      const holder = holderOf(join(notes, address));
      return holder !== undefined && !known.has(holder);
    };
    return [
      ...podCgroups(id).filter((name) => !uids.has(name.slice('pod'.length))),
      ...sandboxes.filter(({ uid }) => !uids.has(uid)).map(({ name, uid }) => `sandbox of ${name} ${uid}`),
      ...containers.filter(({ labels }) => !uids.has(labels[podUidLabel] ?? '')).map(({ name, state }) => `container ${name}, ${state}`),
      ...entries(join(dataDir, 'kubelet/pods')).filter((uid) => !uids.has(uid)),
      ...entries(join(dataDir, 'pod-logs')).filter((name) => !uids.has(name.split('_').at(-1) ?? '')),
      ...entries(notes)
        .filter((name) => !/^(last_reserved_ip|lock)/.test(name) && isLost(name))
        .map((address) => `address ${address}`),
    ];
  } finally {
    runtime.close();
  }
}

/** The sandbox an address was given to: the first line of the address plugin's note. Undefined when it was given back meanwhile. */
function holderOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').split(/\r?\n/)[0];
  } catch {
    return undefined;
  }
}

function entries(directory: string): string[] {
  return exists(directory) ? readdirSync(directory) : [];
}

/** The control groups of the cluster's pods on this host, by the pods' uids. */
function podCgroups(id: string): string[] {
  const root = ['/sys/fs/cgroup/pids', '/sys/fs/cgroup'].map((path) => join(path, `k8ts-${id}`, 'kubepods')).find(exists);
  assert(root !== undefined, 'pods have control groups');
  return [root, join(root, 'besteffort'), join(root, 'burstable')]
    .filter(exists)
    .flatMap((path) => readdirSync(path).filter((name) => name.startsWith('pod')));
}

function exists(path: string): boolean {
  try {
    readdirSync(path);
    return true;
  } catch {
    return false;
  }
}
