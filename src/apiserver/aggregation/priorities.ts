/** In which order groups and their versions are told, by the priorities upstream gives to what an API server serves by itself. */
import type { APIService } from '../../api/kinds.ts';
import { compareVersions, type ServedGroup, type ServedVersion } from '../discovery/resources.ts';

export interface Priority {
  readonly group: number;
  readonly version: number;
}

/** Highest first; each is for all of the group's versions but those below. */
const groupPriorities: readonly (readonly [string, number])[] = [
  ['apiregistration.k8s.io', 20_000],
  ['', 18_000],
  ['apps', 17_800],
  ['events.k8s.io', 17_750],
  ['authentication.k8s.io', 17_700],
  ['authorization.k8s.io', 17_600],
  ['autoscaling', 17_500],
  ['batch', 17_400],
  ['certificates.k8s.io', 17_300],
  ['networking.k8s.io', 17_200],
  ['policy', 17_100],
  ['rbac.authorization.k8s.io', 17_000],
  ['storage.k8s.io', 16_800],
  ['apiextensions.k8s.io', 16_700],
  ['admissionregistration.k8s.io', 16_700],
  ['scheduling.k8s.io', 16_600],
  ['coordination.k8s.io', 16_500],
  ['node.k8s.io', 16_300],
  ['discovery.k8s.io', 16_200],
  ['flowcontrol.apiserver.k8s.io', 16_100],
  ['internal.apiserver.k8s.io', 16_000],
  ['resource.k8s.io', 15_900],
];

/** Groups that are served here unless an APIService names another server for them, with the priority upstream's own such server asks for. */
const replaceablePriorities: ReadonlyMap<string, Priority> = new Map([['metrics.k8s.io', { group: 100, version: 100 }]]);

const byGroup = new Map(groupPriorities);

const versionPriorities: ReadonlyMap<string, number> = new Map([
  ['/v1', 1],
  ['autoscaling/v2', 30],
  ['flowcontrol.apiserver.k8s.io/v1', 21],
]);

const ordinaryVersion = 15;

/** What definitions bring comes after everything built in, its versions by their names. */
const customPriority: Priority = { group: 1000, version: 100 };

export function isBuiltInGroup(group: string): boolean {
  return byGroup.has(group);
}

export function isReplaceableGroup(group: string): boolean {
  return replaceablePriorities.has(group);
}

export function localPriority(group: string, version: string): Priority {
  const replaceable = replaceablePriorities.get(group);
  if (replaceable !== undefined) return replaceable;
  const known = byGroup.get(group);
  return known === undefined ? customPriority : { group: known, version: versionPriorities.get(`${group}/${version}`) ?? ordinaryVersion };
}

/** Groups with the versions others serve put in their places. */
export function inOrder(local: readonly ServedGroup[], remote: readonly (ServedVersion & Pick<APIService, 'spec'>)[]): ServedGroup[] {
  const groups = new Map<string, { versions: { version: ServedVersion; priority: number }[]; priority: number }>();
  const put = (group: string, version: ServedVersion, priority: Priority): void => {
    const known = groups.get(group) ?? { versions: [], priority: 0 };
    groups.set(group, known);
    known.versions = [...known.versions.filter((other) => other.version.version !== version.version), { version, priority: priority.version }];
    known.priority = Math.max(known.priority, priority.group);
  };
  for (const { group, versions } of local) for (const version of versions) put(group, version, localPriority(group, version.version));
  for (const { spec, ...version } of remote) {
    put(spec.group ?? '', version, { group: spec.groupPriorityMinimum, version: spec.versionPriority });
  }
  return [...groups]
    .sort(([a, { priority: left }], [b, { priority: right }]) => right - left || (byGroup.has(a) && byGroup.has(b) ? 0 : a < b ? -1 : 1))
    .map(([group, { versions }]) => ({
      group,
      versions: versions
        .sort((a, b) => b.priority - a.priority || compareVersions(a.version.version, b.version.version))
        .map(({ version }) => version),
    }));
}
