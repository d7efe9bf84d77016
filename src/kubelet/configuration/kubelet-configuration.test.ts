import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ConfigurationError } from './fields.ts';
import { readKubeletConfiguration, shownConfiguration } from './kubelet-configuration.ts';
import { defaultSettings, reservedOf } from './settings.ts';

const head = 'apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n';

describe('a KubeletConfiguration', () => {
  test('sets what it says, and leaves the rest', () => {
    const file = readKubeletConfiguration(`${head}
staticPodPath: /etc/kubernetes/manifests
clusterDNS: [10.96.0.10]
port: 10255
maxPods: 50
podPidsLimit: 4096
kubeReserved: {cpu: 100m, memory: 200Mi, ephemeral-storage: 1Gi}
systemReserved: {memory: 100Mi}
evictionHard: {memory.available: 5%, nodefs.available: 2Gi}
evictionSoft: {memory.available: 10%}
evictionSoftGracePeriod: {memory.available: 1m}
evictionPressureTransitionPeriod: 30s
imageGCHighThresholdPercent: 90
containerLogMaxSize: 1Mi
crashLoopBackOff: {maxContainerRestartPeriod: 20s}
shutdownGracePeriod: 30s
shutdownGracePeriodCriticalPods: 10s
registerWithTaints: [{key: dedicated, value: gpu, effect: NoSchedule}]
authentication: {anonymous: {enabled: false}, x509: {clientCAFile: /etc/ca.crt}}
cgroupDriver: systemd
serializeImagePulls: true
enableDebuggingHandlers: false
enableSystemLogQuery: true
`);
    const { settings } = file;
    assert.deepEqual([file.staticPodPath, file.port, file.maxPods, file.clientCaFile], ['/etc/kubernetes/manifests', 10_255, 50, '/etc/ca.crt']);
    assert.deepEqual(file.registerWithTaints, [{ key: 'dedicated', value: 'gpu', effect: 'NoSchedule' }]);
    assert.equal(settings.evictionTransitionMs, 30_000);
    assert.equal(settings.containerLogMaxBytes, 2 ** 20);
    assert.equal(settings.crashBackOffMaxMs, 20_000);
    assert.deepEqual([settings.shutdownGraceMs, settings.shutdownCriticalMs], [30_000, 10_000]);
    assert.deepEqual(settings.imageGarbage, { highPercent: 90, lowPercent: 80, minimumAgeMs: 120_000, maximumAgeMs: 0 });
    assert.equal(settings.containerLogMaxFiles, undefined);
    assert.deepEqual(settings.pages, { debugging: false, systemLogs: true, systemLogQuery: true });
    const node = { memoryBytes: 10 * 2 ** 30, ephemeralStorageBytes: 100 * 2 ** 30 };
    assert.deepEqual(reservedOf({ ...defaultSettings, ...settings }, node), {
      cpuMillis: 100,
      memoryBytes: 300 * 2 ** 20 + 2 ** 29,
      storageBytes: 3 * 2 ** 30,
    });
    const shown = shownConfiguration(file);
    assert.deepEqual(shown.evictionHard, { 'memory.available': '5%', 'nodefs.available': '2Gi' });
    assert.deepEqual([shown.evictionSoftGracePeriod, shown.shutdownGracePeriod], [{ 'memory.available': '60s' }, '30s']);
    assert.deepEqual([shown.enableDebuggingHandlers, shown.enableSystemLogQuery], [false, true]);
  });

  test('of kubeadm is taken as it comes, with its zeroes for defaults', () => {
    const { settings, staticPodPath, clusterDns, containerRuntimeEndpoint } = readKubeletConfiguration(`${head}
authentication: {anonymous: {enabled: false}, webhook: {cacheTTL: 0s, enabled: true}, x509: {clientCAFile: /etc/kubernetes/pki/ca.crt}}
authorization: {mode: Webhook, webhook: {cacheAuthorizedTTL: 0s, cacheUnauthorizedTTL: 0s}}
cgroupDriver: systemd
clusterDNS: [10.96.0.10]
clusterDomain: cluster.local
containerRuntimeEndpoint: ""
cpuManagerReconcilePeriod: 0s
crashLoopBackOff: {}
evictionPressureTransitionPeriod: 0s
fileCheckFrequency: 0s
healthzBindAddress: 127.0.0.1
healthzPort: 10248
httpCheckFrequency: 0s
imageMaximumGCAge: 0s
imageMinimumGCAge: 0s
logging: {flushFrequency: 0, options: {json: {infoBufferSize: "0"}}, verbosity: 0}
memorySwap: {}
nodeStatusReportFrequency: 0s
nodeStatusUpdateFrequency: 0s
rotateCertificates: true
runtimeRequestTimeout: 0s
shutdownGracePeriod: 0s
shutdownGracePeriodCriticalPods: 0s
staticPodPath: /etc/kubernetes/manifests
streamingConnectionIdleTimeout: 0s
syncFrequency: 0s
volumeStatsAggPeriod: 0s
`);
    assert.deepEqual([staticPodPath, clusterDns, containerRuntimeEndpoint], ['/etc/kubernetes/manifests', ['10.96.0.10'], undefined]);
    const { evictionTransitionMs, imageGarbage } = { ...defaultSettings, ...settings };
    assert.deepEqual([evictionTransitionMs, imageGarbage], [defaultSettings.evictionTransitionMs, defaultSettings.imageGarbage]);
  });

  test('says where containers of guaranteed pods run, and what those beside the pods may take', () => {
    const file = readKubeletConfiguration(`${head}
cpuManagerPolicy: static
cpuManagerPolicyOptions: {full-pcpus-only: 'true'}
reservedSystemCPUs: 0-1
memoryManagerPolicy: Static
reservedMemory: [{numaNode: 0, limits: {memory: 1Gi}}, {numaNode: 1, limits: {memory: 512Mi}}]
topologyManagerPolicy: single-numa-node
topologyManagerScope: pod
topologyManagerPolicyOptions: {prefer-closest-numa-nodes: 'true'}
enforceNodeAllocatable: [pods, kube-reserved, system-reserved-compressible]
kubeReservedCgroup: /kubelet
systemReservedCgroup: /system
`);
    const { placement, reservedCgroups, enforcePodsAllocatable } = { ...defaultSettings, ...file.settings };
    assert.deepEqual([placement.cpuPolicy, placement.cpuOptions.wholeCores, placement.reservedCpus], ['static', true, '0-1']);
    assert.deepEqual([placement.memoryPolicy, placement.reservedMemory.get(1)], ['Static', 2 ** 29]);
    assert.deepEqual([placement.topologyPolicy, placement.topologyScope, placement.preferClosest], ['single-numa-node', 'pod', true]);
    assert.equal(enforcePodsAllocatable, true);
    assert.deepEqual(reservedCgroups, [
      { reservation: 'systemReserved', path: '/system', compressible: true },
      { reservation: 'kubeReserved', path: '/kubelet', compressible: false },
    ]);
    const reserved = reservedOf({ ...defaultSettings, ...file.settings }, { memoryBytes: 2 ** 30, ephemeralStorageBytes: 2 ** 30 });
    assert.equal(reserved.cpuMillis, 2000, 'CPUs 0 and 1');
    const shown = shownConfiguration(file);
    assert.deepEqual(shown.enforceNodeAllocatable, ['pods', 'system-reserved-compressible', 'kube-reserved']);
    assert.deepEqual([shown.kubeReservedCgroup, shown.topologyManagerPolicy], ['/kubelet', 'single-numa-node']);
  });

  test('that is empty changes nothing', () => assert.deepEqual(readKubeletConfiguration(head).settings.evictionThresholds, undefined));

  for (const [name, text, message] of [
    ['of another kind', 'apiVersion: v1\nkind: Pod', /^holds v1, kind Pod; expected kubelet\.config\.k8s\.io\/v1beta1, KubeletConfiguration$/],
    ['that is nothing', '', /^the configuration must be an object$/],
    ['that is no YAML', '{', /^is neither YAML nor JSON: /],
    ['with an unknown field', `${head}maxPodz: 3`, /^unknown field "maxPodz"$/],
    ['with an unknown field further in', `${head}authentication: {x509: {ca: x}}`, /^unknown field "authentication\.x509\.ca"$/],
    ['with a wrong type', `${head}maxPods: many`, /^maxPods: Invalid value: "many": must be a whole number$/],
    ['below the least', `${head}containerLogMaxFiles: 1`, /^containerLogMaxFiles: Invalid value: 1: must be between 2/],
    ['with a wrong duration', `${head}shutdownGracePeriod: soon`, /^shutdownGracePeriod: Invalid value: "soon": must be a duration/],
    ['with a wrong quantity', `${head}kubeReserved: {cpu: lots}`, /^kubeReserved\[cpu\]: Invalid value: "lots": must be a quantity$/],
    ['that reserves what is not counted', `${head}kubeReserved: {gpu: '1'}`, /^kubeReserved\[gpu\]: Invalid value: "1": is none of cpu, memory/],
    ['with a wrong threshold', `${head}evictionHard: {memory.free: 1Gi}`, /^unsupported eviction signal "memory\.free"/],
    [
      'whose critical pods get more than all',
      `${head}shutdownGracePeriodCriticalPods: 5s`,
      /^shutdownGracePeriodCriticalPods: Invalid value: must be no longer/,
    ],
    [
      'that asks logs it does not show',
      `${head}enableSystemLogHandler: false\nenableSystemLogQuery: true`,
      /^enableSystemLogHandler: Invalid value: false: is required for enableSystemLogQuery/,
    ],
    ['with crossed marks', `${head}imageGCLowThresholdPercent: 85`, /^imageGCLowThresholdPercent: Invalid value: 85: must be less than/],
    [
      'with an unknown policy',
      `${head}topologyManagerPolicy: strict`,
      /^topologyManagerPolicy: Invalid value: "strict": must be one of , none, best-effort/,
    ],
    [
      'with an unready option',
      `${head}cpuManagerPolicy: static\ncpuManagerPolicyOptions: {align-by-socket: 'true'}`,
      /^cpuManagerPolicyOptions: CPU Manager Policy Alpha/,
    ],
    [
      'with options for no policy',
      `${head}cpuManagerPolicyOptions: {full-pcpus-only: 'true'}`,
      /^cpuManagerPolicyOptions: the none policy takes no options$/,
    ],
    ['that keeps no memory back', `${head}memoryManagerPolicy: Static`, /^reservedMemory: is required with memoryManagerPolicy Static$/],
    [
      'that keeps memory back twice',
      `${head}reservedMemory: [{numaNode: 0, limits: {memory: 1Gi}}, {numaNode: 0, limits: {memory: 1Gi}}]`,
      /^reservedMemory\[1\]\.numaNode: Duplicate value: 0$/,
    ],
    [
      'that asks for too many nodes',
      `${head}topologyManagerPolicyOptions: {max-allowable-numa-nodes: '7'}`,
      /^topologyManagerPolicyOptions: the minimum value/,
    ],
    [
      'that enforces nothing and something',
      `${head}enforceNodeAllocatable: [none, pods]`,
      /^enforceNodeAllocatable: Invalid value: "none": may not stand with others$/,
    ],
    ['that enforces what it does not name', `${head}enforceNodeAllocatable: [pods, kube-reserved]`, /^kubeReservedCgroup: must be given when/],
    [
      'that enforces twice',
      `${head}systemReservedCgroup: /s\nenforceNodeAllocatable: [system-reserved, system-reserved-compressible]`,
      /^enforceNodeAllocatable: Invalid value: "system-reserved": may not stand with/,
    ],
    ['that asks for pods from elsewhere', `${head}staticPodURL: http://x`, /^staticPodURL: is not supported by this kubelet$/],
    ['with wrong CPUs', `${head}reservedSystemCPUs: 3-1`, /^reservedSystemCPUs: Invalid value: "3-1": must be a list of CPUs/],
    ['with an incomplete taint', `${head}registerWithTaints: [{key: a}]`, /^registerWithTaints\[0\]: needs a key and an effect$/],
  ] as const) {
    test(`${name} is refused`, () => {
      assert.throws(
        () => readKubeletConfiguration(text),
        (error: unknown) => error instanceof ConfigurationError && message.test(error.message),
      );
    });
  }
});
