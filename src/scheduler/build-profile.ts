/** Makes a profile from its configuration: which plugins are on at which extension point, in which order, with which weight, each made with its arguments. */
import { Arguments, ConfigurationError } from './config/arguments.ts';
import { type ExtensionPoint, extensionPoints, type ProfileConfiguration, type SchedulerConfiguration } from './config/configuration.ts';
import { createExtender, type Extender } from './extender.ts';
import type { Plugin, PluginDefinition, PluginHandle } from './plugin.ts';
import type { Profile } from './profile.ts';

/** What a plugin has to have to take part at a point. */
const takesPart: Readonly<Record<ExtensionPoint, (plugin: Plugin) => boolean>> = {
  preEnqueue: ({ preEnqueue }) => preEnqueue !== undefined,
  queueSort: ({ compare }) => compare !== undefined,
  preFilter: ({ preFilter, filter }) => (preFilter ?? filter) !== undefined,
  filter: ({ preFilter, filter }) => (preFilter ?? filter) !== undefined,
  postFilter: ({ postFilter }) => postFilter !== undefined,
  preScore: ({ preScore, score }) => (preScore ?? score) !== undefined,
  score: ({ preScore, score }) => (preScore ?? score) !== undefined,
  reserve: ({ reserve, unreserve }) => (reserve ?? unreserve) !== undefined,
  permit: ({ permit }) => permit !== undefined,
  preBind: ({ preBind }) => preBind !== undefined,
  bind: ({ bind }) => bind !== undefined,
  postBind: ({ postBind }) => postBind !== undefined,
};

interface Choice {
  readonly definition: PluginDefinition;
  readonly weight: number | undefined;
}

/** Throws a {@link ConfigurationError} for what makes no sense. `handleOf` answers what a profile's plugins are made with. */
export function buildProfiles(
  configuration: SchedulerConfiguration,
  registered: readonly PluginDefinition[],
  handleOf: (schedulerName: string) => PluginHandle,
): Profile[] {
  const extenders = configuration.extenders.map((one) => createExtender(one, handleOf(configuration.profiles[0]?.schedulerName ?? '').world));
  const profiles = configuration.profiles.map((profile) =>
    buildProfile(profile, configuration, registered, extenders, handleOf(profile.schedulerName)),
  );
  const [first] = profiles;
  for (const { queueSort, schedulerName } of profiles) {
    if (queueSort.name !== first?.queueSort.name) {
      throw new ConfigurationError(`profiles: Invalid value: ${schedulerName}: all profiles must have the same queueSort plugin: there is one queue`);
    }
  }
  return profiles;
}

function buildProfile(
  profile: ProfileConfiguration,
  configuration: SchedulerConfiguration,
  registered: readonly PluginDefinition[],
  extenders: readonly Extender[],
  handle: PluginHandle,
): Profile {
  const byName = new Map(registered.map((definition) => [definition.name, definition]));
  for (const name of profile.arguments.keys()) known(byName, name, `${profile.path}.pluginConfig`);
  const general = generalChoices(profile, registered, byName);
  const made = new Map<string, Plugin>();
  const make = (definition: PluginDefinition): Plugin => {
    let plugin = made.get(definition.name);
    if (plugin === undefined) {
      plugin = definition.create(argumentsFor(definition.name, profile, configuration), handle);
      made.set(definition.name, plugin);
    }
    return plugin;
  };
  const at = (point: ExtensionPoint): { plugin: Plugin; weight: number }[] =>
    choicesAt(point, profile, general, byName)
      .map(({ definition, weight }) => ({ plugin: make(definition), weight: weight ?? definition.weight ?? 1 }))
      .filter(({ plugin }) => takesPart[point](plugin));
  const points = new Map(extensionPoints.map((point) => [point, at(point)]));
  const plugins = (point: ExtensionPoint): Plugin[] => (points.get(point) ?? []).map(({ plugin }) => plugin);
  // A plugin's preFilter and filter are one thing here, and so are preScore and score: to leave out either is to leave out both.
  const inBoth = (a: ExtensionPoint, b: ExtensionPoint): ((plugin: Plugin) => boolean) => {
    const off = new Set([...disabledAt(profile, a), ...disabledAt(profile, b)]);
    return ({ name }) => !off.has(name) && !off.has('*');
  };
  const [queueSort, ...others] = plugins('queueSort');
  if (queueSort === undefined) throw new ConfigurationError(`${profile.path}.plugins.queueSort: Required value: one queueSort plugin is required`);
  if (others.length > 0) throw new ConfigurationError(`${profile.path}.plugins.queueSort: Invalid value: only one queueSort plugin can be enabled`);
  if (plugins('bind').length === 0) throw new ConfigurationError(`${profile.path}.plugins.bind: Required value: at least one bind plugin is needed`);
  const explicitly = (point: ExtensionPoint): boolean => (profile.plugins.get(point)?.enabled.length ?? 0) > 0;
  const filter = explicitly('preFilter') && !explicitly('filter') ? plugins('preFilter') : plugins('filter');
  return {
    schedulerName: profile.schedulerName,
    plugins: [...made.values()].filter((plugin) => extensionPoints.some((point) => plugins(point).includes(plugin))),
    preEnqueue: plugins('preEnqueue'),
    queueSort,
    filter: filter.filter(inBoth('preFilter', 'filter')),
    postFilter: plugins('postFilter'),
    score: (points.get('score') ?? []).filter(({ plugin }) => inBoth('preScore', 'score')(plugin)),
    reserve: plugins('reserve'),
    permit: plugins('permit'),
    preBind: plugins('preBind'),
    bind: plugins('bind'),
    postBind: plugins('postBind'),
    percentageOfNodesToScore: profile.percentageOfNodesToScore ?? configuration.percentageOfNodesToScore,
    extenders,
  };
}

/** `multiPoint`: the defaults without those turned off, in their order; then what was added. */
function generalChoices(
  profile: ProfileConfiguration,
  registered: readonly PluginDefinition[],
  byName: ReadonlyMap<string, PluginDefinition>,
): Choice[] {
  const { enabled = [], disabled = [] } = profile.plugins.get('multiPoint') ?? {};
  const path = `${profile.path}.plugins.multiPoint`;
  const off = new Set(disabled);
  for (const name of disabled) if (name !== '*') known(byName, name, path);
  const given = new Map(enabled.map((choice) => [choice.name, choice]));
  const kept = registered.filter(({ name }) => !off.has('*') && !off.has(name));
  const keptNames = new Set(kept.map(({ name }) => name));
  return [
    ...kept.map((definition) => ({ definition, weight: given.get(definition.name)?.weight })),
    ...enabled.filter(({ name }) => !keptNames.has(name)).map(({ name, weight }) => ({ definition: known(byName, name, path), weight })),
  ];
}

/** What is enabled for the point itself comes first; then the general ones that are not turned off for it. */
function choicesAt(
  point: ExtensionPoint,
  profile: ProfileConfiguration,
  general: readonly Choice[],
  byName: ReadonlyMap<string, PluginDefinition>,
): Choice[] {
  const { enabled = [], disabled = [] } = profile.plugins.get(point) ?? {};
  const path = `${profile.path}.plugins.${point}`;
  for (const name of disabled) if (name !== '*') known(byName, name, path);
  const own = enabled.map(({ name, weight }): Choice => ({ definition: known(byName, name, path), weight }));
  const ownNames = new Set(enabled.map(({ name }) => name));
  const off = new Set(disabled);
  return [...own, ...general.filter(({ definition: { name } }) => !ownNames.has(name) && !off.has('*') && !off.has(name))];
}

function disabledAt(profile: ProfileConfiguration, point: ExtensionPoint): readonly string[] {
  const { enabled = [], disabled = [] } = profile.plugins.get(point) ?? {};
  const on = new Set(enabled.map(({ name }) => name));
  return on.size > 0 && disabled.includes('*') ? [] : disabled.filter((name) => !on.has(name));
}

function known(byName: ReadonlyMap<string, PluginDefinition>, name: string, path: string): PluginDefinition {
  const definition = byName.get(name);
  if (definition === undefined)
    throw new ConfigurationError(`${path}: Not found: ${JSON.stringify(name)}; there are ${[...byName.keys()].sort().join(', ')}`);
  return definition;
}

/** `kind` and `apiVersion` of the arguments are upstream's way to say whose they are. */
function argumentsFor(name: string, profile: ProfileConfiguration, { extenders }: SchedulerConfiguration): Arguments {
  const path = `${profile.path}.pluginConfig[${name}].args`;
  const given = Arguments.of(profile.arguments.get(name), path);
  const kind = given.text('kind');
  if (kind !== undefined && kind !== `${name}Args`) given.refuse('kind', `must be "${name}Args"`);
  given.text('apiVersion');
  if (name !== 'NodeResourcesFit') return given;
  // What an extender manages and asks us to leave alone is none of the plugin's business.
  const ignored = extenders.flatMap(({ managedResources }) => managedResources.filter((one) => one.ignoredByScheduler).map((one) => one.name));
  return ignored.length === 0 ? given : given.with('ignoredResources', [...(given.texts('ignoredResources') ?? []), ...ignored]);
}
