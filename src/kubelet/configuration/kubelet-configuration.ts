/**
 * The file of `kubelet --config`: a `KubeletConfiguration` of kubelet.config.k8s.io/v1beta1, read strictly.
 * https://kubernetes.io/docs/reference/config-api/kubelet-config.v1beta1/
 */
import { parse as parseYaml } from 'yaml';
import type { V1Taint } from '../../api/types.ts';
import { ThresholdError, defaultHardThresholds, thresholdsOf } from '../eviction/thresholds.ts';
import { defaultImageGarbage } from '../garbage/image-garbage.ts';
import { enforcementIn, shownEnforcement } from './enforcement.ts';
import { ConfigurationError, Fields } from './fields.ts';
import { imagePullsIn, shownImagePulls } from './image-pulls.ts';
import { placementIn, shownPlacement } from './placement-settings.ts';
import { defaultPages } from '../server/served-pages.ts';
import { type KubeletSettings, defaultSettings } from './settings.ts';

export interface KubeletFile {
  readonly settings: Partial<KubeletSettings>;
  readonly staticPodPath?: string;
  readonly address?: string;
  readonly port?: number;
  readonly clusterDns?: readonly string[];
  readonly clusterDomain?: string;
  readonly maxPods?: number;
  readonly cgroupRoot?: string;
  readonly podLogsDir?: string;
  readonly containerRuntimeEndpoint?: string;
  readonly registerWithTaints?: readonly V1Taint[];
  readonly tlsCertFile?: string;
  readonly tlsPrivateKeyFile?: string;
  readonly clientCaFile?: string;
}

/** What may be said, and is so here already, or concerns what this kubelet does in its own way: events drive it, and it has no rate limits. */
const withoutEffect = [
  'syncFrequency',
  'fileCheckFrequency',
  'httpCheckFrequency',
  'nodeStatusUpdateFrequency',
  'nodeStatusReportFrequency',
  'nodeLeaseDurationSeconds',
  'volumeStatsAggPeriod',
  'runtimeRequestTimeout',
  'streamingConnectionIdleTimeout',
  'eventRecordQPS',
  'eventBurst',
  'kubeAPIQPS',
  'kubeAPIBurst',
  'contentType',
  'cgroupDriver',
  'cgroupsPerQOS',
  'hairpinMode',
  'healthzPort',
  'healthzBindAddress',
  'oomScoreAdj',
  'registerNode',
  'rotateCertificates',
  'serverTLSBootstrap',
  'authorization',
  'logging',
  'featureGates',
  'enableServer',
  'enableProfilingHandler',
  'protectKernelDefaults',
  'makeIPTablesUtilChains',
  'failSwapOn',
  'memorySwap',
  'resolvConf',
  'cpuManagerReconcilePeriod',
  'cpuCFSQuota',
  'cpuCFSQuotaPeriod',
  'localStorageCapacityIsolation',
  'configMapAndSecretChangeDetectionStrategy',
  'enableControllerAttachDetach',
  'containerLogMaxWorkers',
  'containerLogMonitorInterval',
  'imageServiceEndpoint',
  'nodeStatusMaxImages',
  'providerID',
  'kernelMemcgNotification',
  'volumePluginDir',
  'systemCgroups',
  'kubeletCgroups',
  'tlsCipherSuites',
  'tlsMinVersion',
  'readOnlyPort',
  'maxOpenFiles',
  'podCIDR',
  'showHiddenMetricsForVersion',
  'enableContentionProfiling',
  'enableDebugFlagsHandler',
  'iptablesMasqueradeBit',
  'iptablesDropBit',
  'singleProcessOOMKill',
  'failCgroupV1',
  'memoryThrottlingFactor',
];

/** What asks for something that would not be done. */
const notSupported = ['staticPodURL', 'staticPodURLHeader', 'podsPerCore', 'shutdownGracePeriodByPodPriority', 'userNamespaces', 'tracing'];

const reservable = ['cpu', 'memory', 'ephemeral-storage', 'pid'];

/** Throws `ConfigurationError`. */
export function readKubeletConfiguration(text: string): KubeletFile {
  let value: unknown;
  try {
    value = parseYaml(text);
  } catch (error) {
    throw new ConfigurationError(`is neither YAML nor JSON: ${error instanceof Error ? error.message.split('\n')[0] : String(error)}`);
  }
  const fields = new Fields(value, '');
  const apiVersion = fields.text('apiVersion');
  const kind = fields.text('kind');
  if (kind !== 'KubeletConfiguration' || apiVersion !== 'kubelet.config.k8s.io/v1beta1') {
    throw new ConfigurationError(
      `holds ${apiVersion ?? 'no apiVersion'}, kind ${kind ?? '(none)'}; expected kubelet.config.k8s.io/v1beta1, KubeletConfiguration`,
    );
  }
  fields.passOver(withoutEffect);
  fields.refuse(notSupported);
  const file: KubeletFile = { ...places(fields), settings: settingsIn(fields) };
  fields.end();
  return file;
}

function places(fields: Fields): Omit<KubeletFile, 'settings'> {
  const authentication = fields.section('authentication');
  authentication?.passOver(['anonymous', 'webhook']);
  const x509 = authentication?.section('x509');
  const clientCaFile = x509?.text('clientCAFile');
  x509?.end();
  authentication?.end();
  return present({
    staticPodPath: fields.text('staticPodPath'),
    address: fields.text('address'),
    port: fields.integer('port', 1, 65_535),
    clusterDns: fields.texts('clusterDNS'),
    clusterDomain: fields.text('clusterDomain'),
    maxPods: fields.integer('maxPods', 0),
    cgroupRoot: fields.text('cgroupRoot'),
    podLogsDir: fields.text('podLogsDir'),
    containerRuntimeEndpoint: fields.text('containerRuntimeEndpoint') || undefined,
    registerWithTaints: fields.list('registerWithTaints')?.map(taint),
    tlsCertFile: fields.text('tlsCertFile'),
    tlsPrivateKeyFile: fields.text('tlsPrivateKeyFile'),
    clientCaFile,
  });
}

function settingsIn(fields: Fields): Partial<KubeletSettings> {
  const crashLoop = fields.section('crashLoopBackOff');
  const crashBackOffMaxMs = crashLoop?.durationMs('maxContainerRestartPeriod') || undefined;
  crashLoop?.end();
  const [shutdownGraceMs, shutdownCriticalMs] = [fields.durationMs('shutdownGracePeriod'), fields.durationMs('shutdownGracePeriodCriticalPods')];
  if ((shutdownCriticalMs ?? 0) > (shutdownGraceMs ?? 0)) {
    throw new ConfigurationError('shutdownGracePeriodCriticalPods: Invalid value: must be no longer than shutdownGracePeriod');
  }
  return present({
    podPidsLimit: fields.integer('podPidsLimit', -1),
    kubeReserved: fields.quantities('kubeReserved', reservable),
    systemReserved: fields.quantities('systemReserved', reservable),
    evictionThresholds: thresholds(fields),
    // As upstream, no time at all stands for the default.
    evictionTransitionMs: fields.durationMs('evictionPressureTransitionPeriod') || undefined,
    evictionMaxGraceSeconds: fields.integer('evictionMaxPodGracePeriod', 0),
    ...enforcementIn(fields),
    imageGarbage: imageGarbage(fields),
    ...imagePullsIn(fields),
    containerLogMaxBytes: fields.bytes('containerLogMaxSize'),
    containerLogMaxFiles: fields.integer('containerLogMaxFiles', 2),
    allowedUnsafeSysctls: fields.texts('allowedUnsafeSysctls'),
    crashBackOffMaxMs,
    seccompDefault: fields.flag('seccompDefault'),
    pages: pages(fields),
    shutdownGraceMs,
    shutdownCriticalMs,
    placement: placementIn(fields),
  });
}

function thresholds(fields: Fields): KubeletSettings['evictionThresholds'] | undefined {
  const hard = fields.textMap('evictionHard');
  const soft = fields.textMap('evictionSoft');
  const softGracePeriods = fields.textMap('evictionSoftGracePeriod');
  const minimumReclaim = fields.textMap('evictionMinimumReclaim');
  const merges = fields.flag('mergeDefaultEvictionSettings') === true;
  if (!hard && !soft && !minimumReclaim && !softGracePeriods) return undefined;
  try {
    return thresholdsOf({
      hard: merges || !hard ? { ...defaultHardThresholds, ...hard } : hard,
      ...(soft && { soft }),
      ...(softGracePeriods && { softGracePeriods }),
      ...(minimumReclaim && { minimumReclaim }),
    });
  } catch (error) {
    if (error instanceof ThresholdError) throw new ConfigurationError(error.message);
    throw error;
  }
}

function pages(fields: Fields): KubeletSettings['pages'] {
  const [debugging, systemLogs, systemLogQuery] = ['enableDebuggingHandlers', 'enableSystemLogHandler', 'enableSystemLogQuery'].map((name) =>
    fields.flag(name),
  );
  const served = { ...defaultPages, ...present({ debugging, systemLogs, systemLogQuery }) };
  if (served.systemLogQuery && !served.systemLogs) {
    throw new ConfigurationError('enableSystemLogHandler: Invalid value: false: is required for enableSystemLogQuery');
  }
  return served;
}

function imageGarbage(fields: Fields): KubeletSettings['imageGarbage'] | undefined {
  const [highPercent, lowPercent] = [fields.integer('imageGCHighThresholdPercent', 0, 100), fields.integer('imageGCLowThresholdPercent', 0, 100)];
  const [minimumAgeMs, maximumAgeMs] = [fields.durationMs('imageMinimumGCAge') || undefined, fields.durationMs('imageMaximumGCAge')];
  const settings = { ...defaultImageGarbage, ...present({ highPercent, lowPercent, minimumAgeMs, maximumAgeMs }) };
  if (settings.lowPercent >= settings.highPercent) {
    throw new ConfigurationError(
      `imageGCLowThresholdPercent: Invalid value: ${settings.lowPercent}: must be less than imageGCHighThresholdPercent ${settings.highPercent}`,
    );
  }
  return settings;
}

function taint(value: unknown, index: number): V1Taint {
  const fields = new Fields(value, `registerWithTaints[${index}]`);
  const key = fields.text('key');
  const effect = fields.choice('effect', ['NoSchedule', 'PreferNoSchedule', 'NoExecute']);
  const taintValue = fields.text('value');
  fields.passOver(['timeAdded']);
  fields.end();
  if (key === undefined || effect === undefined) throw new ConfigurationError(`registerWithTaints[${index}]: needs a key and an effect`);
  return { key, effect, ...(taintValue !== undefined && { value: taintValue }) };
}

type Present<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

/** Without what is undefined. */
function present<T extends object>(values: T): Present<T> {
  // Each of its own values is T's or was left out.
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Present<T>;
}

/** As `/configz` shows what is in force. */
export function shownConfiguration(file: Partial<KubeletFile>): Record<string, unknown> {
  const settings = { ...defaultSettings, ...file.settings };
  const hard = settings.evictionThresholds.filter(({ graceMs }) => graceMs === 0);
  const soft = settings.evictionThresholds.filter(({ graceMs }) => graceMs > 0);
  const seconds = (ms: number): string => `${ms / 1000}s`;
  return present({
    staticPodPath: file.staticPodPath,
    clusterDNS: file.clusterDns,
    clusterDomain: file.clusterDomain,
    address: file.address,
    port: file.port,
    maxPods: file.maxPods ?? settings.maxPods,
    podPidsLimit: settings.podPidsLimit,
    kubeReserved: settings.kubeReserved,
    systemReserved: settings.systemReserved,
    evictionHard: Object.fromEntries(hard.map(({ signal, amount }) => [signal, amount.text])),
    evictionSoft: Object.fromEntries(soft.map(({ signal, amount }) => [signal, amount.text])),
    evictionSoftGracePeriod: Object.fromEntries(soft.map(({ signal, graceMs }) => [signal, seconds(graceMs)])),
    evictionPressureTransitionPeriod: seconds(settings.evictionTransitionMs),
    evictionMaxPodGracePeriod: settings.evictionMaxGraceSeconds,
    ...shownEnforcement(settings),
    imageGCHighThresholdPercent: settings.imageGarbage.highPercent,
    imageGCLowThresholdPercent: settings.imageGarbage.lowPercent,
    imageMinimumGCAge: seconds(settings.imageGarbage.minimumAgeMs),
    imageMaximumGCAge: seconds(settings.imageGarbage.maximumAgeMs),
    ...shownImagePulls(settings),
    containerLogMaxSize: String(settings.containerLogMaxBytes),
    containerLogMaxFiles: settings.containerLogMaxFiles,
    allowedUnsafeSysctls: settings.allowedUnsafeSysctls,
    enableDebuggingHandlers: settings.pages.debugging,
    enableSystemLogHandler: settings.pages.systemLogs,
    enableSystemLogQuery: settings.pages.systemLogQuery,
    shutdownGracePeriod: seconds(settings.shutdownGraceMs),
    shutdownGracePeriodCriticalPods: seconds(settings.shutdownCriticalMs),
    ...shownPlacement(settings.placement),
  });
}
