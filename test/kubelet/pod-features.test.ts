/** What a pod's spec can ask for and only a real kernel and runtime can show: names, processes, users, kernel confinement, hooks, deadlines, last words. */
import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { V1Container, V1PodSpec } from '../../src/api/types.ts';
import { realWorld } from '../../src/world/real.ts';
import { type RealKubelet, realKubelet } from './real-kubelet.ts';

const world = realWorld({ level: process.env.KUBELET_LOG ?? 'silent' });
const waits = 'trap "exit 0" TERM; while :; do sleep 0.1; done';

describe('a pod may ask for', { skip: process.getuid?.() !== 0 && 'needs root' }, () => {
  let it: RealKubelet;
  let shared: string;
  before(async () => {
    it = await realKubelet(world, '10.201.25');
    shared = join(it.host.directory, 'shared');
    await mkdir(shared);
  });
  after(() => it.close());

  const shell = (name: string, command: string, more: Partial<V1Container> = {}): V1Container => ({
    name,
    image: 'busybox',
    command: ['sh', '-c', command],
    ...more,
  });
  /** A directory of the node that outlives the pod. */
  const outside = { volumeMounts: [{ name: 'outside', mountPath: '/out' }] };
  const outsideVolume = (): Partial<V1PodSpec> => ({ volumes: [{ name: 'outside', hostPath: { path: shared } }] });
  const written = (file: string): Promise<string> => readFile(join(shared, file), 'utf8').then((text) => text.trim());
  const gone = async (name: string): Promise<void> => it.until(() => it.pod(name) === undefined);
  const terminated = (name: string, container = 'main') =>
    it.pod(name)?.status.containerStatuses?.find((status) => status.name === container)?.state?.terminated;

  test('names of its own: host name, subdomain, aliases, and what it resolves with', async () => {
    it.put('named', {}, { hostname: 'web', subdomain: 'site', hostAliases: [{ ip: '192.0.2.7', hostnames: ['db', 'cache'] }] });
    it.put('fully', {}, { hostname: 'web', subdomain: 'site', setHostnameAsFQDN: true });
    it.put('too-long', {}, { hostname: 'w'.repeat(63), subdomain: 'site', setHostnameAsFQDN: true });
    it.put(
      'resolving',
      {},
      {
        dnsPolicy: 'None',
        dnsConfig: { nameservers: ['192.0.2.53'], searches: ['example.com'], options: [{ name: 'ndots', value: '2' }, { name: 'edns0' }] },
      },
    );
    it.put('cluster-first', {}, { dnsConfig: { searches: ['example.com'] } });
    it.put('on-the-host', {}, { hostNetwork: true, dnsPolicy: 'ClusterFirstWithHostNet' });
    for (const name of ['named', 'fully', 'resolving', 'cluster-first', 'on-the-host']) await it.until(() => it.isReady(name));
    assert.equal(await it.output('named', 'hostname; hostname -f'), 'web\nweb.site.default.svc.cluster.local');
    assert.match(await it.output('named', 'cat /etc/hosts'), /192\.0\.2\.7\tdb\tcache/);
    assert.equal(await it.output('fully', 'hostname'), 'web.site.default.svc.cluster.local');
    await it.until(() =>
      it.events().some((event) => /^FailedCreatePodSandBox: .*is too long \(64 characters is the max, \d+ characters requested\)/.test(event)),
    );
    assert.equal(await it.output('resolving', 'cat /etc/resolv.conf'), 'search example.com\nnameserver 192.0.2.53\noptions ndots:2 edns0');
    const clusters =
      /^search default\.svc\.cluster\.local svc\.cluster\.local cluster\.local .*\bexample\.com\nnameserver 10\.96\.0\.10\noptions ndots:5$/;
    assert.match(await it.output('cluster-first', 'cat /etc/resolv.conf'), clusters);
    assert.match(await it.output('on-the-host', 'cat /etc/resolv.conf'), /nameserver 10\.96\.0\.10/);
    assert.equal(it.pod('on-the-host')?.status.podIP, '192.0.2.1');
  });

  test('processes in common, among its containers or with the node', async () => {
    const containers = [shell('main', waits), shell('other', 'exec sleep 12345')];
    it.put('together', {}, { shareProcessNamespace: true, containers });
    it.put('apart', {}, { containers });
    it.put('with-the-node', {}, { hostPID: true, hostIPC: true });
    for (const name of ['together', 'apart', 'with-the-node']) await it.until(() => it.isReady(name));
    assert.match(await it.output('together', 'ps'), /sleep 12345/);
    assert.match(await it.output('together', 'cat /proc/1/cmdline'), /pause/);
    assert.doesNotMatch(await it.output('apart', 'ps'), /sleep 12345/);
    assert.match(await it.output('with-the-node', 'ps'), /sleep 12345/);
    // Seen over the processes they share, files of the other are there, too.
    assert.match(await it.output('together', 'ls /proc/$(pgrep -f "sleep 12345" | head -1)/root/bin/sh'), /bin\/sh/);
  });

  test('users and groups, down to the files of its volumes', async () => {
    const security = { runAsUser: 1000, runAsGroup: 3000, fsGroup: 2000, supplementalGroups: [4000], runAsNonRoot: true };
    const scratch = { volumeMounts: [{ name: 'scratch', mountPath: '/scratch' }] };
    const volumes = [{ name: 'scratch', emptyDir: {} }];
    it.put('grouped', scratch, { securityContext: security, volumes });
    it.put('on-mismatch', scratch, { securityContext: { ...security, fsGroupChangePolicy: 'OnRootMismatch' }, volumes });
    it.put('own-user', { securityContext: { runAsUser: 2001 } }, { securityContext: security });
    it.put('strict', {}, { securityContext: { ...security, supplementalGroupsPolicy: 'Strict' } });
    for (const name of ['grouped', 'on-mismatch', 'own-user']) await it.until(() => it.isReady(name));
    for (const name of ['grouped', 'on-mismatch']) {
      assert.match(await it.output(name, 'id'), /^uid=1000 gid=3000 groups=(2000,)?3000,(2000,)?4000$/);
      assert.equal(await it.output(name, 'touch /scratch/x; stat -c "%g %u" /scratch/x; stat -c %g /scratch'), '2000 1000\n2000');
    }
    assert.match(await it.output('own-user', 'id -u; id -g'), /^2001\n3000$/);
    // The runtime here cannot leave the image's groups out, and the pod is told so.
    await it.until(() => it.pod('strict')?.status.phase === 'Failed');
    assert.equal(it.pod('strict')?.status.reason, 'SupplementalGroupsPolicyNotSupported');
  });

  test('less of the kernel, or more', async () => {
    const profile = { defaultAction: 'SCMP_ACT_ALLOW', syscalls: [{ names: ['mkdir', 'mkdirat'], action: 'SCMP_ACT_ERRNO' }] };
    await mkdir(join(it.host.directory, 'kubelet/seccomp/profiles'), { recursive: true });
    await writeFile(join(it.host.directory, 'kubelet/seccomp/profiles/no-mkdir.json'), JSON.stringify(profile));
    const confined = (type: string, localhostProfile?: string): Partial<V1Container> => ({
      securityContext: { seccompProfile: { type, ...(localhostProfile !== undefined && { localhostProfile }) } },
    });
    it.put('by-default', confined('RuntimeDefault'));
    it.put('unconfined', confined('Unconfined'));
    it.put('by-profile', confined('Localhost', 'profiles/no-mkdir.json'));
    it.put('missing-profile', confined('Localhost', 'profiles/none.json'));
    it.put('capable', { securityContext: { capabilities: { add: ['NET_ADMIN'], drop: ['CHOWN'] }, allowPrivilegeEscalation: false } });
    it.put('sealed', { securityContext: { readOnlyRootFilesystem: true } });
    it.put('privileged', { securityContext: { privileged: true } });
    it.put('unmasked', { securityContext: { procMount: 'Unmasked' } });
    const running = ['by-default', 'unconfined', 'by-profile', 'capable', 'sealed', 'privileged', 'unmasked'];
    for (const name of running) await it.until(() => it.isReady(name));
    const status = (name: string, field: string): Promise<string> => it.output(name, `grep -w ${field} /proc/1/status | cut -f2`);
    assert.deepEqual(await Promise.all(['by-default', 'unconfined', 'by-profile'].map((name) => status(name, 'Seccomp'))), ['2', '0', '2']);
    assert.match(await it.output('by-profile', 'mkdir /tmp/x 2>&1; touch /tmp/y && echo written'), /Operation not permitted\nwritten/);
    await it.until(
      () => it.main('missing-profile')?.state?.waiting?.reason === 'CreateContainerError' || (it.main('missing-profile')?.restartCount ?? 0) > 0,
    );
    assert.ok(it.events().some((event) => /^Failed: Error: .*none\.json.*no such file/.test(event)));
    const capabilities = BigInt(`0x${await status('capable', 'CapEff')}`);
    assert.deepEqual([capabilities & (1n << 12n), capabilities & 1n], [1n << 12n, 0n], 'NET_ADMIN is there, CHOWN is not');
    assert.deepEqual([await status('capable', 'NoNewPrivs'), await status('by-default', 'NoNewPrivs')], ['1', '0']);
    assert.match(await it.output('sealed', 'touch /x 2>&1'), /Read-only file system/);
    assert.match(await it.output('by-default', 'mount'), / on \/proc\/(kcore|keys) /);
    assert.match(await it.output('by-default', 'mount'), / on \/proc\/sys .*\(ro,/);
    for (const name of ['privileged', 'unmasked']) assert.doesNotMatch(await it.output(name, 'mount'), / on \/proc\/(kcore|keys|sys) /);
    assert.match(await it.output('privileged', 'ls /dev/kmsg 2>&1 || ls /dev | wc -l'), /kmsg|\d\d/);
  });

  test('a runtime class, whose overhead counts; and is told when there is none', async () => {
    const resources = { requests: { cpu: '100m', memory: '32Mi' }, limits: { cpu: '100m', memory: '32Mi' } };
    it.api.put({ kind: 'RuntimeClass', metadata: { name: 'plain' }, handler: 'runc' });
    it.api.put({ kind: 'RuntimeClass', metadata: { name: 'elsewhere' }, handler: 'no-such-handler' });
    const { uid } = it.put('heavy', { resources }, { runtimeClassName: 'plain', overhead: { memory: '16Mi', cpu: '50m' } }).metadata;
    it.put('unhandled', {}, { runtimeClassName: 'elsewhere' });
    it.put('unknown-class', {}, { runtimeClassName: 'nowhere' });
    await it.until(() => it.isReady('heavy'));
    const cgroup = `${it.host.containerd.controlGroup}/kubepods/pod${uid}`;
    const limit = await readFile(`/sys/fs/cgroup/memory${cgroup}/memory.limit_in_bytes`, 'utf8').catch(() =>
      readFile(`/sys/fs/cgroup${cgroup}/memory.max`, 'utf8'),
    );
    assert.equal(Number(limit), 48 * 2 ** 20);
    await it.until(() => it.events().some((event) => /^FailedCreatePodSandBox: .*no runtime for "no-such-handler" is configured/.test(event)));
    await it.until(() => it.events().some((event) => /^FailedCreatePodSandBox: .*"nowhere" not found/.test(event)));
    for (const name of ['unhandled', 'unknown-class']) assert.equal(it.pod(name)?.status.phase, 'Pending');
  });

  test('hooks: commands, requests, knocks and pauses', async () => {
    it.put(
      'listener',
      { command: ['sh', '-c', 'mkdir /www; touch /www/started /www/stopping; exec httpd -f -vvv -p 8080 -h /www 2> /out/asked'], ...outside },
      outsideVolume(),
    );
    await it.until(() => it.isReady('listener'));
    const host = it.pod('listener')?.status.podIP ?? '';
    const http = (path: string) => ({ httpGet: { host, path, port: 8080 } });
    const hooked = {
      ...outside,
      lifecycle: { postStart: http('/started'), preStop: { exec: { command: ['sh', '-c', 'echo stopping > /out/stopping'] } } },
    };
    it.put('hooked', hooked, outsideVolume());
    it.put('knocking', { lifecycle: { postStart: { tcpSocket: { host, port: 8080 } }, preStop: http('/stopping') } });
    it.put('pausing', { lifecycle: { postStart: { sleep: { seconds: 1 } }, preStop: { sleep: { seconds: 1 } } } });
    it.put('failing-hook', { lifecycle: { postStart: { tcpSocket: { host, port: 9 } } } }, { terminationGracePeriodSeconds: 1 });
    for (const name of ['hooked', 'knocking', 'pausing']) await it.until(() => it.isReady(name));
    await it.until(() => it.events().includes('FailedPostStartHook: PostStartHook failed'));
    await it.until(() => (it.main('failing-hook')?.restartCount ?? 0) > 0);
    for (const name of ['hooked', 'knocking', 'pausing', 'failing-hook']) it.api.remove('Pod', name, 'default', 20);
    for (const name of ['hooked', 'knocking', 'pausing', 'failing-hook']) await gone(name);
    assert.equal(await written('stopping'), 'stopping');
    await it.until(async () => (await written('asked')).includes('stopping'));
    assert.match(await written('asked'), /started/);
  });

  test('an orderly end: those who are served first, then sidecars, the last started first', async () => {
    const says = (name: string, more: Partial<V1Container> = {}): V1Container =>
      shell(name, `trap "echo ${name} >> /out/order; sleep 0.3; exit 0" TERM; while :; do sleep 0.05; done`, { ...outside, ...more });
    const restartPolicy = 'Always';
    it.put(
      'orderly',
      {},
      {
        ...outsideVolume(),
        initContainers: [says('proxy', { restartPolicy }), says('logger', { restartPolicy })],
        containers: [says('main')],
      },
    );
    await it.until(() => it.isReady('orderly'));
    it.api.remove('Pod', 'orderly', 'default', 20);
    await gone('orderly');
    assert.equal(await written('order'), 'main\nlogger\nproxy');
  });

  test('an end in time: by its deadline, and by a probe that gives less', async () => {
    it.put('limited', {}, { activeDeadlineSeconds: 1, restartPolicy: 'Never' });
    const stubborn = { command: ['sh', '-c', 'trap "" TERM; while :; do sleep 0.1; done'] };
    const livenessProbe = { exec: { command: ['false'] }, periodSeconds: 1, failureThreshold: 1, terminationGracePeriodSeconds: 1 };
    it.put('impatient', { ...stubborn, livenessProbe }, { terminationGracePeriodSeconds: 600 });
    await it.until(() => it.pod('limited')?.status.phase === 'Failed');
    assert.equal(it.pod('limited')?.status.reason, 'DeadlineExceeded');
    assert.equal(it.pod('limited')?.status.message, 'Pod was active on the node longer than the specified deadline');
    await it.until(() => (it.main('impatient')?.restartCount ?? 0) > 0);
    assert.equal(it.main('impatient')?.lastState?.terminated?.exitCode, 137);
    it.api.remove('Pod', 'impatient', 'default', 1);
  });

  test('its last words to be kept: from a file of its choice, or from its log when it fails', async () => {
    const never: Partial<V1PodSpec> = { restartPolicy: 'Never' };
    it.put('from-file', { command: ['sh', '-c', 'echo done > /tmp/said'], terminationMessagePath: '/tmp/said' }, never);
    const terminationMessagePolicy = 'FallbackToLogsOnError';
    it.put('from-log', { command: ['sh', '-c', 'echo why; exit 3'], terminationMessagePolicy }, never);
    it.put('all-well', { command: ['sh', '-c', 'echo fine'], terminationMessagePolicy }, never);
    it.put('verbose', { command: ['sh', '-c', 'yes x | head -c 9000 > /dev/termination-log'] }, never);
    for (const name of ['from-file', 'from-log', 'all-well', 'verbose']) await it.until(() => terminated(name) !== undefined);
    assert.deepEqual([terminated('from-file')?.message, terminated('from-log')?.message], ['done\n', 'why\n']);
    assert.equal(terminated('all-well')?.message, undefined);
    assert.equal(terminated('verbose')?.message?.length, 4096);
    await it.until(() => it.pod('from-file')?.status.phase === 'Succeeded' && it.pod('from-log')?.status.phase === 'Failed');
  });

  test('to be ready only when others say so, too; conditions tell for which generation they hold', async () => {
    it.put('gated', {}, { readinessGates: [{ conditionType: 'example.com/ready' }] });
    const condition = (type: string) => it.pod('gated')?.status.conditions?.find((candidate) => candidate.type === type);
    await it.until(() => condition('ContainersReady')?.status === 'True');
    assert.equal(condition('Ready')?.reason, 'ReadinessGatesNotReady');
    assert.match(condition('Ready')?.message ?? '', /^corresponding condition of pod readiness gate "example\.com\/ready" does not exist\.$/);
    await it.api.request({
      method: 'PATCH',
      path: '/api/v1/namespaces/default/pods/gated/status',
      contentType: 'application/strategic-merge-patch+json',
      body: { status: { conditions: [{ type: 'example.com/ready', status: 'True' }] } },
    });
    await it.until(() => it.isReady('gated'));
    assert.deepEqual([condition('Ready')?.observedGeneration, it.pod('gated')?.status.observedGeneration], [1, 1]);
    assert.equal(condition('example.com/ready')?.status, 'True');
  });

  test('sysctls of its own', async () => {
    it.put('tuned', {}, { securityContext: { sysctls: [{ name: 'net.ipv4.ip_unprivileged_port_start', value: '80' }] } });
    await it.until(() => it.isReady('tuned'));
    assert.equal(await it.output('tuned', 'cat /proc/sys/net/ipv4/ip_unprivileged_port_start'), '80');
  });
});
