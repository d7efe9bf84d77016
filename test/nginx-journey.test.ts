/** The journey of a newcomer with stock kubectl and an nginx nobody here wrote: deploy, expose, scale, update, undo, look inside, and the rest of the tour. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { buildBusyboxImage, buildNginxImage } from './images/debian-image.ts';
import { type ClusterUnderTest, eventually, startClusterUnderTest } from './support/cluster-under-test.ts';
import { cacheDirectory, start, stockTools } from './support/stock-tools.ts';

let cluster: ClusterUnderTest;
let directory: string;
before(async () => {
  directory = mkdtempSync(join(tmpdir(), 'k8ts-journey-'));
  cluster = await startClusterUnderTest();
  for (const image of [await buildNginxImage(cacheDirectory()), await buildBusyboxImage(cacheDirectory())]) {
    const loaded = await cluster.k8ts(['image', 'load', image, '--data-dir', cluster.dataDir]);
    assert.equal(loaded.code, 0, loaded.stderr);
  }
});
after(async () => {
  await cluster.close();
  rmSync(directory, { recursive: true, force: true });
});

const kubectl = (args: string | readonly string[], options?: Parameters<ClusterUnderTest['kubectl']>[1]): Promise<string> =>
  cluster.kubectl(args, options);
const rolledOut = (): Promise<string> => kubectl('rollout status deployment/web --timeout=60s', { timeoutMs: 70_000 });
const field = (path: string): Promise<string> => kubectl(['get', 'deployment', 'web', '-o', `jsonpath=${path}`]);
const nginxImage = (): Promise<string> => field('{.spec.template.spec.containers[0].image}');

async function get(url: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const call = request(url, { timeout: 5000, agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => (body += text));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
    });
    call.on('error', reject);
    call.end();
  });
}

describe('a web app', () => {
  test('images are listed', async () => {
    const outcome = await cluster.k8ts(['image', 'list', '--data-dir', cluster.dataDir]);
    assert.match(outcome.stdout, /docker\.io\/library\/nginx:latest/);
    assert.match(outcome.stdout, /k8ts\.local\/hello:1/);
  });

  test('the node is Ready', async () => {
    assert.match(await kubectl('get nodes'), /\sReady\s/);
  });

  test('create deployment, expose, curl', async () => {
    await kubectl('create deployment web --image=nginx');
    await rolledOut();
    await kubectl('expose deployment web --port=80 --type=NodePort');
    const url = await nodePortUrl();
    const page = await eventually('nginx answers', async () => get(url), 10_000);
    assert.match(page.body, /Welcome to nginx!/);
  });

  test('scale: all four answer', async () => {
    await kubectl('scale deployment web --replicas=4');
    await rolledOut();
    const pods = (await kubectl('get pods -l app=web -o jsonpath={.items[*].metadata.name}')).split(' ');
    assert.equal(pods.length, 4);
    for (const pod of pods) await kubectl(['exec', pod, '--', 'sh', '-c', 'hostname > /usr/share/nginx/html/index.html']);
    const url = await nodePortUrl();
    const seen = new Set<string>();
    await eventually('all four pods answer', async () => {
      for (let i = 0; i < 10; i++) seen.add((await get(url)).body.trim());
      return seen.size === 4 ? true : undefined;
    });
    assert.deepEqual(seen, new Set(pods));
  });

  test('set image, rollout history, undo to revision 1', async () => {
    await kubectl('set image deployment/web nginx=nginx:1.22');
    await rolledOut();
    assert.equal(await nginxImage(), 'nginx:1.22');
    assert.match(await kubectl('rollout history deployment/web'), /^1\s[\s\S]*^2\s/m);
    await kubectl('rollout undo deployment/web --to-revision=1');
    await rolledOut();
    assert.equal(await nginxImage(), 'nginx');
  });

  test('a deleted pod is replaced', async () => {
    const pod = await webPod();
    await kubectl(`delete pod ${pod} --timeout=60s`, { timeoutMs: 70_000 });
    await rolledOut();
    assert(!(await kubectl('get pods -l app=web -o name')).includes(pod));
  });

  test('rollout restart', async () => {
    await kubectl('rollout restart deployment/web');
    await rolledOut();
  });
});

/** A pod of the deployment that is there to stay: those of an earlier revision are gone. */
async function webPod(): Promise<string> {
  const replicas = Number(await field('{.spec.replicas}'));
  return eventually('only the current pods are left', async () => {
    const pods = (await kubectl('get pods -l app=web -o jsonpath={.items[*].metadata.name}')).split(' ');
    return pods.length === replicas ? pods[0] : undefined;
  });
}

async function nodePortUrl(): Promise<string> {
  const address = await kubectl('get nodes -o jsonpath={.items[0].status.addresses[0].address}');
  const port = await kubectl('get service web -o jsonpath={.spec.ports[0].nodePort}');
  return `http://${address}:${port}/`;
}

describe('looking inside', () => {
  test('logs -f shows lines as they come and ends with the container', async () => {
    await kubectl(['run', 'counter', '--image=busybox', '--restart=Never', '--', 'sh', '-c', 'for i in 1 2 3; do echo line $i; sleep 0.3; done']);
    await kubectl('wait --for=jsonpath={.status.phase}=Running pod/counter --timeout=30s').catch(() => undefined);
    assert.equal(await kubectl('logs -f counter'), 'line 1\nline 2\nline 3\n');
    assert.equal(await kubectl('logs counter --tail=1'), 'line 3\n');
    await kubectl('wait --for=jsonpath={.status.phase}=Succeeded pod/counter --timeout=30s');
  });

  test('exec passes input, output, errors and the exit code', async () => {
    await kubectl(['run', 'box', '--image=busybox', '--', 'sleep', '3600']);
    await kubectl('wait --for=condition=Ready pod/box --timeout=30s');
    assert.equal(await kubectl(['exec', 'box', '--', 'echo', 'hi there']), 'hi there\n');
    assert.equal(await kubectl(['exec', '-i', 'box', '--', 'cat'], { input: 'through and through' }), 'through and through');
    const failed = await cluster.tryKubectl(['exec', 'box', '--', 'sh', '-c', 'echo oh no >&2; exit 7']);
    assert.equal(failed.code, 7);
    assert.match(failed.stderr, /oh no/);
  });

  test('exec -it gives a terminal', async () => {
    // `script` makes the terminal that kubectl asks for.
    const child = start('script', ['-qec', `${stockTools().kubectl} exec -it box -- sh`, '/dev/null'], { env: cluster.env });
    let output = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => (output += text));
    const closed = new Promise<number | null>((resolve) => child.on('close', resolve));
    await eventually('a prompt', async () => (output.includes('#') ? true : undefined));
    child.stdin?.write('tty; stty size; exit\n');
    assert.equal(await closed, 0, output);
    assert.match(output, /\/dev\/(pts|console|tty)/);
  });

  test('cp carries files both ways', async () => {
    const [there, back] = [join(directory, 'there.txt'), join(directory, 'back.txt')];
    writeFileSync(there, 'some text\n'.repeat(20_000));
    await kubectl(['cp', there, 'box:/tmp/file.txt']);
    await kubectl(['cp', 'box:/tmp/file.txt', back]);
    assert.equal(readFileSync(back, 'utf8'), readFileSync(there, 'utf8'));
  });

  test('port-forward reaches a port of the pod', async () => {
    const pod = await webPod();
    const child = start(stockTools().kubectl, ['port-forward', pod, ':80'], { env: cluster.env });
    let output = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => (output += text));
    try {
      const port = await eventually('a local port', async () => /127\.0\.0\.1:(\d+)/.exec(output)?.[1], 10_000);
      for (let i = 0; i < 3; i++) assert.equal((await get(`http://127.0.0.1:${port}/`)).status, 200);
    } finally {
      child.kill();
    }
  });

  test('describe, get -o wide, get events', async () => {
    const description = await kubectl('describe pod box');
    for (const expected of [/Status:\s+Running/, /Successfully assigned default\/box/, /Container started/]) assert.match(description, expected);
    assert.match(await kubectl('get pods -o wide'), /box\s+1\/1\s+Running\s+0\s+\S+\s+10\.\d+\.\d+\.\d+\s/);
    assert.match(await kubectl('get events'), /Scheduled/);
    assert.match(await kubectl('describe node'), /Allocatable:/);
    assert.match(await kubectl('describe deployment web'), /NewReplicaSet/);
    assert.match(await kubectl('describe service web'), /Endpoints:\s+10\./);
  });

  test('names resolve, inside and outside the cluster zone', async () => {
    const ip = await kubectl('get service kubernetes -o jsonpath={.spec.clusterIP}');
    assert.match(await kubectl(['exec', 'box', '--', 'nslookup', 'kubernetes.default.svc.cluster.local']), new RegExp(ip.replaceAll('.', '\\.')));
    assert.match(await kubectl(['exec', 'box', '--', 'wget', '-qO-', 'http://web/']), /\S/);
    assert.match(
      await kubectl(['exec', 'box', '--', 'cat', '/etc/resolv.conf']),
      /search default\.svc\.cluster\.local svc\.cluster\.local cluster\.local/,
    );
  });

  test('a pod reaches the API server with its service account', async () => {
    await kubectl('run caller --image=k8ts.local/hello:1');
    await kubectl('wait --for=condition=Ready pod/caller --timeout=30s');
    const call = `const { readFileSync } = require('node:fs'), { get } = require('node:https');
      const read = (name) => readFileSync('/var/run/secrets/kubernetes.io/serviceaccount/' + name, 'utf8');
      const headers = { authorization: 'Bearer ' + read('token') };
      get('https://kubernetes.default.svc/api/v1/namespaces/' + read('namespace') + '/pods', { ca: read('ca.crt'), headers }, (answer) => answer.pipe(process.stdout));`;
    const answer = JSON.parse(await kubectl(['exec', 'caller', '--', 'node', '-e', call])) as { code: number; message: string };
    assert.equal(answer.code, 403);
    assert.match(
      answer.message,
      /User "system:serviceaccount:default:default" cannot list resource "pods" in API group "" in the namespace "default"/,
    );
  });
});

describe('changing things', () => {
  const manifest = (value: string): string => `apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  colour: ${value}\n`;

  test('apply, diff, apply again, server-side apply', async () => {
    const file = join(directory, 'settings.yaml');
    writeFileSync(file, manifest('red'));
    assert.match(await kubectl(['apply', '-f', file]), /configmap\/settings created/);
    assert.match(await kubectl(['apply', '-f', file]), /unchanged/);
    writeFileSync(file, manifest('blue'));
    const diff = await cluster.tryKubectl(['diff', '-f', file]);
    assert.equal(diff.code, 1, diff.stderr);
    assert.match(diff.stdout, /-\s+colour: red[\s\S]*\+\s+colour: blue/);
    assert.match(await kubectl(['apply', '-f', file]), /configured/);
    assert.equal((await cluster.tryKubectl(['diff', '-f', file])).code, 0);
    assert.match(await kubectl(['apply', '--server-side', '--force-conflicts', '-f', file]), /serverside-applied/);
  });

  test('edit', async () => {
    await kubectl('edit configmap settings', { env: { EDITOR: 'sed -i s/blue/green/', KUBE_EDITOR: 'sed -i s/blue/green/' } });
    assert.equal(await kubectl('get configmap settings -o jsonpath={.data.colour}'), 'green');
  });

  test('explain', async () => {
    assert.match(await kubectl('explain deployment.spec.strategy.rollingUpdate'), /maxSurge/);
    assert.match(await kubectl('explain pod --recursive'), /terminationGracePeriodSeconds/);
  });

  test('label, annotate, patch', async () => {
    await kubectl('label pod box colour=red');
    assert.match(await kubectl('get pods -l colour=red -o name'), /pod\/box/);
    await kubectl('label pod box colour-');
    await kubectl('annotate pod box note=hello');
    assert.equal(await kubectl('get pod box -o jsonpath={.metadata.annotations.note}'), 'hello');
    await kubectl(['patch', 'deployment', 'web', '--type=json', '-p', '[{"op":"replace","path":"/spec/replicas","value":2}]']);
    await rolledOut();
    // A rollout is through when enough are there; what is too many goes after that.
    await eventually('two are ready', async () => (await field('{.status.readyReplicas}')) === '2' || undefined);
  });

  test('wait for a condition, and for deletion', async () => {
    await kubectl('wait --for=condition=Available deployment/web --timeout=30s');
    await kubectl('delete pod box --grace-period=1 --wait=false');
    await kubectl('wait --for=delete pod/box --timeout=30s');
  });

  test('cordon, drain, uncordon', async () => {
    const node = (await kubectl('get nodes -o jsonpath={.items[0].metadata.name}')).trim();
    await kubectl(`cordon ${node}`);
    assert.match(await kubectl('get nodes'), /SchedulingDisabled/);
    await kubectl(`drain ${node} --ignore-daemonsets --force --delete-emptydir-data --timeout=60s`, { timeoutMs: 70_000 });
    const pending = await eventually('the replacements wait', async () => {
      const phases = await kubectl('get pods -l app=web -o jsonpath={.items[*].status.phase}');
      return phases === 'Pending Pending' ? phases : undefined;
    });
    assert.equal(pending, 'Pending Pending');
    assert.match(await kubectl('get events --field-selector reason=FailedScheduling'), /0\/1 nodes are available: 1 node\(s\) were unschedulable/);
    await kubectl(`uncordon ${node}`);
    await rolledOut();
  });
});
