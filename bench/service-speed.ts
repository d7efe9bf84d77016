/** How soon a Service leads to a pod that became ready, and whether a rolling update under load loses a request. */
import { execFile } from 'node:child_process';
import { request } from 'node:http';
import { promisify } from 'node:util';
import { Deployment, Service } from '../src/api/kinds.ts';
import type { V1PodTemplateSpec } from '../src/api/types.ts';
import { isRunning, type RealPods } from '../test/conformance/real-pods.ts';
import { type Figure, median } from './figure.ts';

const run = promisify(execFile);
const rounds = 5;

export async function serviceSpeed(pods: RealPods): Promise<Figure[]> {
  return [...(await readyToAnswer(pods)), ...(await rollingUpdate(pods))];
}

const probe = { httpGet: { path: '/healthz', port: 8080 }, periodSeconds: 1 };

function served(name: string) {
  return { metadata: { name }, spec: { type: 'NodePort', selector: { app: name }, ports: [{ port: 80, targetPort: 8080 }] } };
}

async function urlOf(pods: RealPods, name: string): Promise<URL> {
  const { spec } = await pods.of(Service).get(name);
  const node = await pods.cluster.kubectl(['get', 'nodes', '-o', 'jsonpath={.items[0].status.addresses[?(@.type=="InternalIP")].address}']);
  return new URL(`http://${node}:${spec.ports?.[0]?.nodePort}/`);
}

/** From the moment a client sees the pod ready until its first request through the Service is answered; it asks every few milliseconds. */
async function readyToAnswer(pods: RealPods): Promise<Figure[]> {
  await pods.of(Service).create(served('soon'));
  const url = await urlOf(pods, 'soon');
  const waits: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const name = `soon-${round}`;
    await pods.create(name, { containers: [{ name: 'main', image: 'k8ts.local/hello:1', readinessProbe: probe }] }, { labels: { app: 'soon' } });
    const answered = firstAnswer(url, name);
    await pods.until(name, 'is ready', isRunning);
    const readyAt = performance.now();
    waits.push(Math.max(0, (await answered) - readyAt));
    await pods.cluster.kubectl(`delete pod ${name}`);
  }
  return [{ what: 'ready → first answer through a Service', value: median(waits), unit: 'ms', aim: 100, better: 'less' }];
}

/** When the pod first answered. */
async function firstAnswer(url: URL, name: string): Promise<number> {
  for (;;) {
    const text = await ask(url).catch(() => '');
    if (text.includes(name)) return performance.now();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function ask(url: URL): Promise<string> {
  return new Promise((resolve, reject) => {
    const call = request(url, { agent: false, timeout: 1000 }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (part: string) => (text += part));
      answer.on('end', () => resolve(text));
      answer.on('error', reject);
    });
    call.on('timeout', () => call.destroy(new Error('no answer')));
    call.on('error', reject);
    call.end();
  });
}

/** Two rollouts while wrk asks as fast as it can; each pod goes on answering for a moment after it was told to end, as is advised. */
async function rollingUpdate(pods: RealPods): Promise<Figure[]> {
  const template = (version: number): V1PodTemplateSpec => ({
    metadata: { labels: { app: 'rolled' } },
    spec: {
      terminationGracePeriodSeconds: 10,
      containers: [{ name: 'main', image: `k8ts.local/hello:${version}`, readinessProbe: probe, lifecycle: { preStop: { sleep: { seconds: 2 } } } }],
    },
  });
  const strategy = { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } };
  await pods.of(Service).create(served('rolled'));
  await pods.of(Deployment).create({
    metadata: { name: 'rolled' },
    spec: { replicas: 3, strategy, selector: { matchLabels: { app: 'rolled' } }, template: template(1) },
  });
  const rolledOut = (): Promise<string> => pods.cluster.kubectl('rollout status deployment/rolled --timeout=60s', { timeoutMs: 70_000 });
  await rolledOut();
  const url = await urlOf(pods, 'rolled');
  const load = run('wrk', ['-t', '1', '-c', '8', '-d', '25s', '-H', 'Connection: close', url.href]);
  for (const version of [2, 1]) {
    await pods.of(Deployment).patch('rolled', { spec: { template: template(version) } });
    await rolledOut();
  }
  const { stdout } = await load;
  const socketErrors = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(stdout)?.slice(1) ?? [];
  const refused = /Non-2xx or 3xx responses: (\d+)/.exec(stdout)?.[1] ?? '0';
  const lost = [...socketErrors, refused].reduce((sum, count) => sum + Number(count), 0);
  const answered = Number(/(\d+) requests in/.exec(stdout)?.[1] ?? NaN);
  await pods.of(Deployment).delete('rolled');
  return [
    { what: 'requests lost in two rolling updates under wrk', value: lost, unit: '', aim: 0, better: 'less' },
    { what: '  of so many', value: answered, unit: '', better: 'more' },
  ];
}
