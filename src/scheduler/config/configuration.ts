/** `KubeSchedulerConfiguration` v1, as https://kubernetes.io/docs/reference/config-api/kube-scheduler-config.v1/ describes it: read strictly, with upstream's defaults. */
import { parse as parseYaml } from 'yaml';
import { Arguments, ConfigurationError } from './arguments.ts';
import { type ExtenderConfiguration, readExtender } from './extender-configuration.ts';

export { ConfigurationError } from './arguments.ts';

export const extensionPoints = [
  'preEnqueue',
  'queueSort',
  'preFilter',
  'filter',
  'postFilter',
  'preScore',
  'score',
  'reserve',
  'permit',
  'preBind',
  'bind',
  'postBind',
] as const;
export type ExtensionPoint = (typeof extensionPoints)[number];

export interface PluginChoice {
  readonly name: string;
  readonly weight: number | undefined;
}

export interface PluginSet {
  readonly enabled: readonly PluginChoice[];
  /** Names, or `*` for all. */
  readonly disabled: readonly string[];
}

export interface ProfileConfiguration {
  readonly schedulerName: string;
  readonly percentageOfNodesToScore: number | undefined;
  readonly plugins: ReadonlyMap<ExtensionPoint | 'multiPoint', PluginSet>;
  /** Arguments by plugin. */
  readonly arguments: ReadonlyMap<string, unknown>;
  /** Where this stands, for messages. */
  readonly path: string;
}

export interface SchedulerConfiguration {
  readonly profiles: readonly ProfileConfiguration[];
  readonly percentageOfNodesToScore: number;
  readonly podInitialBackoffMs: number;
  readonly podMaxBackoffMs: number;
  readonly extenders: readonly ExtenderConfiguration[];
}

export const defaultSchedulerName = 'default-scheduler';

const defaultProfile: ProfileConfiguration = {
  schedulerName: defaultSchedulerName,
  percentageOfNodesToScore: undefined,
  plugins: new Map(),
  arguments: new Map(),
  path: 'profiles[0]',
};

export const defaultConfiguration: SchedulerConfiguration = {
  profiles: [defaultProfile],
  percentageOfNodesToScore: 0,
  podInitialBackoffMs: 1_000,
  podMaxBackoffMs: 10_000,
  extenders: [],
};

const apiVersion = 'kubescheduler.config.k8s.io/v1';
/** What upstream's file may say besides, about things flags say here, or that have no counterpart: read, and passed over. */
const elsewhere = ['parallelism', 'leaderElection', 'clientConnection', 'enableProfiling', 'enableContentionProfiling', 'delayCacheUntilActive'];

/** Throws a {@link ConfigurationError} naming the path, the value and what was expected. */
export function parseConfiguration(text: string): SchedulerConfiguration {
  let value: unknown;
  try {
    value = parseYaml(text);
  } catch (error) {
    throw new ConfigurationError(`cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
  return readConfiguration(value);
}

export function readConfiguration(value: unknown): SchedulerConfiguration {
  const root = Arguments.of(value, '');
  const [kind, version] = [root.text('kind'), root.text('apiVersion')];
  if (kind !== 'KubeSchedulerConfiguration') root.refuse('kind', 'must be "KubeSchedulerConfiguration"');
  if (version !== apiVersion) root.refuse('apiVersion', `must be ${JSON.stringify(apiVersion)}`);
  for (const name of elsewhere) root.raw(name);
  const initialSeconds = root.whole('podInitialBackoffSeconds', 1, 2 ** 31) ?? 1;
  const maxSeconds = root.whole('podMaxBackoffSeconds', 1, 2 ** 31) ?? Math.max(10, initialSeconds);
  if (maxSeconds < initialSeconds)
    root.refuse('podMaxBackoffSeconds', `must be greater than or equal to podInitialBackoffSeconds (${initialSeconds})`);
  const profiles = root.objects('profiles')?.map(readProfile) ?? [];
  const names = new Set<string>();
  for (const { schedulerName, path } of profiles) {
    if (names.has(schedulerName)) throw new ConfigurationError(`${path}.schedulerName: Duplicate value: ${JSON.stringify(schedulerName)}`);
    names.add(schedulerName);
  }
  const extenders = root.objects('extenders')?.map(readExtender) ?? [];
  const binders = extenders.filter(({ bindVerb }) => bindVerb !== '');
  if (binders.length > 1) throw new ConfigurationError('extenders: Invalid value: only one extender can implement bind');
  const configuration: SchedulerConfiguration = {
    profiles: profiles.length === 0 ? [defaultProfile] : profiles,
    percentageOfNodesToScore: root.whole('percentageOfNodesToScore', 0, 100) ?? 0,
    podInitialBackoffMs: initialSeconds * 1000,
    podMaxBackoffMs: maxSeconds * 1000,
    extenders,
  };
  root.done();
  return configuration;
}

function readProfile(profile: Arguments): ProfileConfiguration {
  const given = profile.object('plugins');
  const plugins = new Map<ExtensionPoint | 'multiPoint', PluginSet>();
  for (const point of [...extensionPoints, 'multiPoint'] as const) {
    const set = given?.object(point);
    if (set) plugins.set(point, readPluginSet(set));
  }
  given?.done();
  const byPlugin = new Map<string, unknown>();
  for (const one of profile.objects('pluginConfig') ?? []) {
    const name = one.text('name');
    if (name === undefined) return one.refuse('name', 'must be given');
    if (byPlugin.has(name)) throw new ConfigurationError(`${one.path}: Duplicate value: ${JSON.stringify(name)}`);
    byPlugin.set(name, one.raw('args') ?? {});
    one.done();
  }
  const configuration: ProfileConfiguration = {
    schedulerName: profile.text('schedulerName') ?? defaultSchedulerName,
    percentageOfNodesToScore: profile.whole('percentageOfNodesToScore', 0, 100),
    plugins,
    arguments: byPlugin,
    path: profile.path,
  };
  profile.done();
  return configuration;
}

function readPluginSet(set: Arguments): PluginSet {
  const seen = new Set<string>();
  const enabled = (set.objects('enabled') ?? []).map((one): PluginChoice => {
    const [name, weight] = [one.text('name'), one.whole('weight', 0, 2 ** 31 - 1)];
    if (name === undefined || name === '') return one.refuse('name', 'must be given');
    if (seen.has(name)) throw new ConfigurationError(`${one.path}: Duplicate value: plugin ${JSON.stringify(name)} already registered`);
    seen.add(name);
    one.done();
    return { name, weight: weight === 0 ? undefined : weight };
  });
  const disabled = (set.objects('disabled') ?? []).map((one) => {
    const name = one.text('name');
    one.raw('weight');
    if (name === undefined || name === '') return one.refuse('name', 'must be given');
    one.done();
    return name;
  });
  set.done();
  return { enabled, disabled };
}
