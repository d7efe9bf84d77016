/**
 * gRPC probes of real containers: a health server as https://github.com/grpc/grpc/blob/master/doc/health-checking.md has it, made with grpc-js and brought to the
 * built-in image's Node in a ConfigMap.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { build } from 'esbuild';
import { type ClusterUnderTest, eventually, startClusterUnderTest } from '../support/cluster-under-test.ts';
import { projectRoot } from '../support/stock-tools.ts';

/** A service is SERVING (1) unless a file of its name says otherwise (2). The request's only field is the service's name, the answer's the status. */
const program = `
import { Server, ServerCredentials, status } from '@grpc/grpc-js';
import { existsSync, rmSync } from 'node:fs';
rmSync('/state/liveness', { force: true });
const server = new Server();
const raw = (bytes) => bytes;
const check = { path: '/grpc.health.v1.Health/Check', requestStream: false, responseStream: false, requestSerialize: raw, requestDeserialize: raw, responseSerialize: raw, responseDeserialize: raw };
server.addService({ check }, {
  check({ request }, answer) {
    const service = request.subarray(2).toString();
    if (!['', 'liveness', 'readiness'].includes(service)) answer({ code: status.NOT_FOUND, details: 'unknown service' });
    else answer(null, Buffer.from([8, existsSync('/state/' + service) && service !== '' ? 2 : 1]));
  },
});
server.bindAsync('0.0.0.0:9000', ServerCredentials.createInsecure(), () => console.log('serving'));
`;

const home = mkdtempSync(join(tmpdir(), 'k8ts-grpc-'));
let started: ClusterUnderTest | undefined;

before(async () => {
  const file = join(home, 'server.cjs');
  await build({ stdin: { contents: program, resolveDir: projectRoot }, outfile: file, bundle: true, minify: true, platform: 'node', format: 'cjs' });
  started = await startClusterUnderTest();
  await started.kubectl(`create configmap health --from-file=${file}`);
});

after(async () => {
  await started?.close();
  rmSync(home, { recursive: true, force: true });
});

function cluster(): ClusterUnderTest {
  assert(started, 'the cluster is up');
  return started;
}

async function createPod(name: string, probes: object, command: readonly string[] = ['node', '/program/server.cjs']): Promise<void> {
  const volumeMounts = [
    { name: 'program', mountPath: '/program' },
    { name: 'state', mountPath: '/state' },
  ];
  const spec = {
    terminationGracePeriodSeconds: 0,
    containers: [{ name: 'main', image: 'k8ts.local/hello:1', command, volumeMounts, ...probes }],
    volumes: [
      { name: 'program', configMap: { name: 'health' } },
      { name: 'state', emptyDir: {} },
    ],
  };
  const file = join(home, `${name}.json`);
  writeFileSync(file, JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec }));
  await cluster().kubectl(`apply -f ${file}`);
}

const grpc = (service?: string): object => ({ periodSeconds: 1, timeoutSeconds: 2, grpc: { port: 9000, ...(service !== undefined && { service }) } });

const ready = (name: string, is: boolean): Promise<string> =>
  cluster().kubectl(`wait --for=condition=Ready=${is} pod/${name} --timeout=60s`, { timeoutMs: 70_000 });

const inside = (name: string, script: string): Promise<string> => cluster().kubectl(['exec', name, '--', 'node', '-e', script]);

/** Of failed probes, as `kubectl describe` shows them. */
async function complaint(name: string, pattern: RegExp): Promise<void> {
  await eventually(
    `an event of ${name} says ${String(pattern)}`,
    async () => {
      const said = await cluster().kubectl([
        'get',
        'events',
        `--field-selector=involvedObject.name=${name},reason=Unhealthy`,
        '-o',
        'jsonpath={range .items[*]}{.message}{"\\n"}{end}',
      ]);
      assert.match(said, pattern);
      return true;
    },
    60_000,
  );
}

test('readiness follows what the service answers', async () => {
  await createPod('ready', { startupProbe: { ...grpc(), failureThreshold: 30 }, readinessProbe: { ...grpc('readiness'), failureThreshold: 1 } });
  await ready('ready', true);
  await inside('ready', "fs.writeFileSync('/state/readiness', '')");
  await ready('ready', false);
  await complaint('ready', /^Readiness probe failed: service unhealthy \(responded with "NOT_SERVING"\)$/m);
  await inside('ready', "fs.rmSync('/state/readiness')");
  await ready('ready', true);
});

test('a container that says it is not alive is started again', async () => {
  await createPod('alive', { startupProbe: { ...grpc(), failureThreshold: 30 }, livenessProbe: { ...grpc('liveness'), failureThreshold: 1 } });
  await ready('alive', true);
  await inside('alive', "fs.writeFileSync('/state/liveness', '')");
  const restarted = '--for=jsonpath={.status.containerStatuses[0].restartCount}=1';
  await cluster().kubectl(['wait', restarted, 'pod/alive', '--timeout=60s'], { timeoutMs: 70_000 });
  await ready('alive', true);
});

test('a service that is not known, and a server of something else, are not ready, and it is said why', async () => {
  await createPod('unknown', { readinessProbe: grpc('nobody') });
  await createPod('other', { readinessProbe: grpc() }, [
    'node',
    '-e',
    "const s = require('node:http2').createServer(); s.on('stream', (x) => x.respond({ ':status': 200, 'content-type': 'application/grpc', 'grpc-status': 12 }, { endStream: true })); s.listen(9000)",
  ]);
  await complaint('unknown', /^Readiness probe failed: .*unknown service/m);
  await complaint('other', /^Readiness probe failed: error: this server does not implement the grpc health protocol/m);
  for (const name of ['unknown', 'other']) await ready(name, false);
});
