/** What nodes and pods use, as stock kubectl shows it and autoscalers go by it, with nothing installed: on real containers, and in a cluster inside the test. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { HorizontalPodAutoscaler } from '../src/api/kinds.ts';
import { startCluster } from '../src/index.ts';
import { type ClusterUnderTest, eventually, startClusterUnderTest } from './support/cluster-under-test.ts';
import { debianKubectl } from './support/debian-packages.ts';
import { run, start } from './support/stock-tools.ts';

describe('on real containers', () => {
  let cluster: ClusterUnderTest;
  let node: string;
  before(async () => {
    cluster = await startClusterUnderTest();
    node = await cluster.kubectl('get nodes -o jsonpath={.items[0].metadata.name}');
    await cluster.kubectl('create deployment web --image=k8ts.local/hello:1');
    await cluster.kubectl('set resources deployment web --requests=cpu=50m,memory=16Mi');
    await cluster.kubectl('expose deployment web --port=80 --target-port=8080 --type=NodePort');
    await cluster.kubectl('rollout status deployment/web --timeout=60s', { timeoutMs: 70_000 });
  });
  after(() => cluster.close());

  const page = (path: string): Promise<string> => cluster.kubectl(['get', '--raw', `/api/v1/nodes/${node}/proxy${path}`]);

  test('kubectl top shows nodes, pods and containers', async () => {
    assert.match(await cluster.kubectl('top nodes'), new RegExp(`^${node} +\\d+m +\\d+% +\\d+Mi +\\d+%`, 'm'));
    const pods = await eventually('there are figures of the pod', async () => {
      const { stdout } = await cluster.tryKubectl('top pods -l app=web');
      return stdout.includes('web-') ? stdout : undefined;
    });
    assert.match(pods, /^NAME +CPU\(cores\) +MEMORY\(bytes\) *\nweb-\S+ +\d+m +[1-9]\d*Mi/);
    assert.match(await cluster.kubectl('top pods --containers'), /^web-\S+ +hello +\d+m +[1-9]\d*Mi/m);
    assert.match((await cluster.tryKubectl('top pod nosuch')).stderr, /\(NotFound\)/);
    const newest = await debianKubectl('sid');
    for (const [what, line] of [
      ['nodes', new RegExp(`^${node} +\\d+m +\\d+% +\\d+Mi +\\d+%`, 'm')],
      ['pods', /^web-\S+ +\d+m +[1-9]\d*Mi/m],
    ] as const) {
      const { code, stdout, stderr } = await run(newest, ['top', what], { env: cluster.env });
      assert.equal(code, 0, stderr);
      assert.match(stdout, line, 'by kubectl v1.36, too');
    }
  });

  test('the API is told of like any other', async () => {
    assert.match(await cluster.kubectl('get apiservice v1beta1.metrics.k8s.io'), /Local +True/);
    assert.match(
      await cluster.kubectl('api-resources --api-group=metrics.k8s.io'),
      /^nodes +metrics\.k8s\.io\/v1beta1 +false +NodeMetrics\npods +metrics\.k8s\.io\/v1beta1 +true +PodMetrics/m,
    );
    assert.match(await cluster.kubectl('explain pods.containers.usage --api-version=metrics.k8s.io/v1beta1'), /usage/);
    assert.match(await cluster.kubectl('get pods.metrics.k8s.io'), /^NAME +CPU +MEMORY +WINDOW/);
    const list = JSON.parse(await cluster.kubectl('get --raw /apis/metrics.k8s.io/v1beta1/namespaces/default/pods?labelSelector=app%3Dnosuch')) as {
      items: object[];
    };
    assert.deepEqual(list.items, []);
  });

  test('whoever may see pods may see what they use', async () => {
    await cluster.kubectl('create serviceaccount viewer');
    await cluster.kubectl('create rolebinding viewer --clusterrole=view --serviceaccount=default:viewer');
    const can = async (what: string): Promise<string> =>
      (await cluster.tryKubectl(`auth can-i list ${what} --as=system:serviceaccount:default:viewer`)).stdout.trim();
    await eventually('the role is joined', async () => ((await can('pods.metrics.k8s.io')) === 'yes' ? true : undefined));
    assert.equal(await can('pods.metrics.k8s.io -A'), 'no');
  });

  test("the kubelet's pages tell the same", async () => {
    const summary = JSON.parse(await page('/stats/summary')) as {
      node: { nodeName: string; fs: { capacityBytes: number } };
      pods: {
        podRef: { name: string };
        network: { name: string; rxBytes: number };
        containers: { name: string; memory: { rssBytes: number }; rootfs: object; logs: object }[];
      }[];
    };
    const web = summary.pods.find(({ podRef }) => podRef.name.startsWith('web-'));
    assert.equal(web?.network.name, 'eth0');
    const [container] = web.containers;
    assert.ok(container && container.memory.rssBytes > 2 ** 20 && container.rootfs && container.logs);
    assert.ok(summary.node.nodeName === node && summary.node.fs.capacityBytes > 0);
    assert.match(
      await page('/metrics/resource'),
      /^container_cpu_usage_seconds_total\{container="hello",namespace="default",pod="web-[^"]+"\} [\d.]+ \d+$/m,
    );
    assert.match(
      await page('/metrics/cadvisor'),
      /^container_network_receive_bytes_total\{container="",id="[^"]+",image="",name="[0-9a-f]{64}",namespace="default",pod="web-[^"]+",interface="eth0"\} [1-9]/m,
    );
    assert.match(await page('/metrics'), /^kubelet_runtime_operations_total\{operation_type="run_podsandbox"\} [1-9]/m);
    assert.match(await page('/metrics/probes'), /^# TYPE prober_probe_total counter$/m);
    assert.equal(await page('/healthz'), 'ok');
  });

  test("the kubelet's server lets in whom the API server would", async () => {
    const [address = '', port = ''] = (
      await cluster.kubectl([
        'get',
        'nodes',
        '-o',
        'jsonpath={.items[0].status.addresses[0].address} {.items[0].status.daemonEndpoints.kubeletEndpoint.Port}',
      ])
    ).split(' ');
    const resources = ['metrics', 'stats', 'log', 'pods', 'healthz', 'configz', 'proxy'];
    await cluster.kubectl('apply -f -', { input: JSON.stringify({ apiVersion: 'v1', kind: 'List', items: resources.flatMap(readerOf) }) });
    const ask = async (path: string, token?: string): Promise<string> => {
      const bearer = token === undefined ? [] : ['-H', `Authorization: Bearer ${token}`];
      const words = ['-sk', '--max-time', '10', '-o', '/dev/null', '-w', '%{http_code}', ...bearer];
      return (await run('curl', [...words, `https://${address}:${port}${path}`])).stdout;
    };
    assert.equal(await ask('/metrics/cadvisor'), '401');
    assert.equal(await ask('/metrics/cadvisor', 'nonsense'), '401');
    // The pages of their own, and what stands for all others; of a log that is not there it is told only to who may know.
    const pages = [
      '/metrics',
      '/metrics/slis',
      '/stats/summary',
      '/logs/',
      '/pods',
      '/runningpods/',
      '/healthz',
      '/configz',
      '/containerLogs/default/x/y',
    ];
    const open: Record<string, readonly string[]> = {};
    for (const resource of resources) {
      const token = (await cluster.kubectl(`create token reads-${resource}`)).trim();
      const codes = await Promise.all(pages.map((path) => ask(path, token)));
      open[resource] = pages.filter((_, index) => codes[index] !== '403');
    }
    assert.deepEqual(open, {
      metrics: ['/metrics', '/metrics/slis'],
      stats: ['/stats/summary'],
      log: ['/logs/'],
      pods: ['/pods', '/runningpods/'],
      healthz: ['/healthz'],
      configz: ['/configz'],
      proxy: ['/pods', '/runningpods/', '/healthz', '/configz', '/containerLogs/default/x/y'],
    });
  });

  test('an autoscaler follows real load up, and down after it', async () => {
    const autoscaler = join(cluster.dataDir, 'autoscaler.json');
    await cluster.kubectl('autoscale deployment web --cpu=50% --min=1 --max=3');
    // The usual five minutes before fewer is a long time for a test.
    writeFileSync(autoscaler, JSON.stringify({ spec: { behavior: { scaleDown: { stabilizationWindowSeconds: 0 } } } }));
    await cluster.kubectl(['patch', 'hpa', 'web', '--type=merge', '--patch-file', autoscaler]);
    const [address, nodePort] = [
      await cluster.kubectl('get nodes -o jsonpath={.items[0].status.addresses[0].address}'),
      await cluster.kubectl('get service web -o jsonpath={.spec.ports[0].nodePort}'),
    ];
    const replicas = async (): Promise<number> => Number(await cluster.kubectl('get deployment web -o jsonpath={.spec.replicas}'));
    // One request after the other, through the Service, each half a second of work for whichever pod it comes to.
    const asking = 'while curl -s -o /dev/null -X POST "$0/burn?ms=500"; do :; done';
    const load = start('sh', ['-c', asking, `http://${address}:${nodePort}`], { timeoutMs: 120_000 });
    try {
      await eventually('it goes up', async () => ((await replicas()) === 3 ? true : undefined), 60_000);
    } finally {
      load.kill();
    }
    await eventually('it comes down', async () => ((await replicas()) === 1 ? true : undefined), 60_000);
    assert.match(await cluster.kubectl('get events --field-selector involvedObject.kind=HorizontalPodAutoscaler'), /SuccessfulRescale .*New size: 3/);
  });

  test('another server of metrics takes the place, and gives it back', async () => {
    const name = 'v1beta1.metrics.k8s.io';
    const manifest = join(cluster.dataDir, 'metrics-server.json');
    const spec = { group: 'metrics.k8s.io', version: 'v1beta1', groupPriorityMinimum: 100, versionPriority: 100, insecureSkipTLSVerify: true };
    const apiService = {
      apiVersion: 'apiregistration.k8s.io/v1',
      kind: 'APIService',
      metadata: { name },
      spec: { ...spec, service: { name: 'metrics-server', namespace: 'kube-system' } },
    };
    writeFileSync(manifest, JSON.stringify(apiService));
    await cluster.kubectl(['apply', '-f', manifest]);
    await eventually('the other one is asked', async () => ((await cluster.tryKubectl('top nodes')).code === 0 ? undefined : true));
    assert.match(await cluster.kubectl(`get apiservice ${name}`), /kube-system\/metrics-server +False/);
    await cluster.kubectl(['delete', '-f', manifest]);
    await eventually('it is served here again', async () => ((await cluster.tryKubectl('top nodes')).code === 0 ? true : undefined));
    assert.match(await cluster.kubectl(`get apiservice ${name}`), /Local +True/);
  });
});

test('in a test, an autoscaler follows what simulated pods say they use', async () => {
  const cluster = await startCluster({ clock: 'virtual' });
  try {
    const web = (cpu: string): object => ({
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'web', namespace: 'default' },
      spec: {
        selector: { matchLabels: { app: 'web' } },
        template: {
          metadata: { labels: { app: 'web' }, annotations: { 'simulated.k8ts.local/cpu': cpu } },
          spec: { containers: [{ name: 'c', image: 'web', resources: { requests: { cpu: '100m' } } }] },
        },
      },
    });
    const autoscaler = {
      apiVersion: 'autoscaling/v2',
      kind: 'HorizontalPodAutoscaler',
      metadata: { name: 'web', namespace: 'default' },
      spec: {
        scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' },
        minReplicas: 1,
        maxReplicas: 4,
        metrics: [{ type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 50 } } }],
      },
    };
    const desired = async (): Promise<number> =>
      (await cluster.client.resource(HorizontalPodAutoscaler).namespace('default').get('web')).status.desiredReplicas ?? 0;
    await cluster.apply([web('150m'), autoscaler]);
    await cluster.until(async () => (await desired()) === 4, { what: 'four replicas', timeout: '10m' });
    await cluster.apply([web('10m')]);
    await cluster.until(async () => (await desired()) === 1, { what: 'one replica again', timeout: '30m' });
  } finally {
    await cluster.close();
  }
});

/** A service account that may get one subresource of nodes. */
function readerOf(subresource: string): object[] {
  const name = `reads-${subresource}`;
  const apiGroup = 'rbac.authorization.k8s.io';
  return [
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name, namespace: 'default' } },
    {
      apiVersion: `${apiGroup}/v1`,
      kind: 'ClusterRole',
      metadata: { name },
      rules: [{ verbs: ['get'], apiGroups: [''], resources: [`nodes/${subresource}`] }],
    },
    {
      apiVersion: `${apiGroup}/v1`,
      kind: 'ClusterRoleBinding',
      metadata: { name },
      roleRef: { apiGroup, kind: 'ClusterRole', name },
      subjects: [{ kind: 'ServiceAccount', name, namespace: 'default' }],
    },
  ];
}
