/**
 * What a real server (v1.20.2) serves and starts with, all of it (`facts/`), against what this one does. Whatever differs is listed in
 * `facts-differences.ts` with its reason, and nothing is listed that does not differ.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { apiVersionOf, type Column, type Kind } from '../../api/kind.ts';
import { allKinds } from '../../api/kinds.ts';
import { equal } from '../../machinery/equal.ts';
import { bootstrapClusterRoleBindings, bootstrapClusterRoles, bootstrapRoleBindings, bootstrapRoles } from '../bootstrap/policy.ts';
import { systemPriorityClasses } from '../bootstrap/first-objects.ts';
import { apiResourceList } from '../discovery/resources.ts';
import { bootstrapFlowSchemas, bootstrapPriorityLevels } from '../flow-control/bootstrap-objects.ts';
import { describe } from '../openapi/openapi.ts';
import { openApi2 } from '../openapi/dialect.ts';
import * as known from './facts-differences.ts';
import bootstrap from './facts/bootstrap.json' with { type: 'json' };
import columns from './facts/columns.json' with { type: 'json' };
import definitions from './facts/definitions.json' with { type: 'json' };
import discovery from './facts/discovery.json' with { type: 'json' };

/** Compares leaf by leaf; answers `path: theirs → ours` for each that differs. Lists of words are sets: their order says nothing. */
function differences(path: string, theirs: unknown, ours: unknown): string[] {
  if (equal(theirs, ours)) return [];
  if (isRecord(theirs) && isRecord(ours)) {
    return [...new Set([...Object.keys(theirs), ...Object.keys(ours)])].flatMap((key) => differences(`${path}/${key}`, theirs[key], ours[key]));
  }
  return [`${path}: ${text(theirs)} → ${text(ours)}`];
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function text(value: unknown): string {
  return value === undefined ? 'absent' : typeof value === 'string' ? value : JSON.stringify(value);
}

/** Every difference has a reason, and every reason a difference. */
function assertExplained(found: readonly string[], reasons: readonly known.Explained[]): void {
  const unexplained = found.filter((difference) => !reasons.some(({ what }) => what.test(difference)));
  assert.deepEqual(unexplained, []);
  const unused = reasons.filter(({ what }) => !found.some((difference) => what.test(difference)));
  assert.deepEqual(
    unused.map(({ what, why }) => `${what.source}: ${why}`),
    [],
  );
}

/** Ours, for the names the real server has. */
function sameNames(theirs: Readonly<Record<string, unknown>>, ours: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.keys(theirs).map((name) => [name, ours[name]]));
}

function columnWord({ name, type, format = '', priority = 0 }: Column<Kind extends Kind<infer T> ? T : never>): string {
  const typed = type === 'string' && format === '' ? '' : `:${type}`;
  return `${name}${typed}${format === '' ? '' : `:${format}`}${'*'.repeat(priority)}`;
}

test('tables have the columns of a real server', () => {
  const ours = Object.fromEntries(allKinds.map((kind) => [`${apiVersionOf(kind)}/${kind.resource}`, kind.columns.map(columnWord)]));
  assertExplained(differences('', columns.served, sameNames(columns.served, ours)), known.columns);
  for (const path of columns.removed) assert.ok(!(path in ours), `${path} is no longer served`);
});

test('discovery tells what a real server tells', () => {
  interface Resource {
    readonly name: string;
  }
  const ours: Record<string, unknown> = {};
  for (const groupVersion of new Set(allKinds.map(apiVersionOf))) {
    const kinds = allKinds.filter((kind) => apiVersionOf(kind) === groupVersion);
    const [{ group, version } = { group: '', version: '' }] = kinds;
    const list = apiResourceList(group, version, kinds) as { readonly resources: readonly Resource[] };
    for (const { name, ...rest } of list.resources) {
      const { storageVersionHash: _hash, singularName: _singular, ...told } = rest as Record<string, unknown>;
      ours[`${groupVersion}/${name}`] = sorted(told);
    }
  }
  const theirs = Object.fromEntries(Object.entries(discovery.served).map(([path, told]) => [path, sorted(told)]));
  assertExplained(differences('', theirs, sameNames(theirs, ours)), known.discovery);
  for (const groupVersion of discovery.removed)
    assert.ok(!allKinds.some((kind) => apiVersionOf(kind) === groupVersion), `${groupVersion} is no longer served`);
});

/** Lists of words in one order. */
function sorted(told: object): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(told).map(([name, value]) => [name, Array.isArray(value) ? (value as string[]).toSorted() : (value as unknown)]),
  );
}

interface Published {
  readonly type?: string;
  readonly format?: string;
  readonly $ref?: string;
  readonly items?: Published;
  readonly additionalProperties?: Published;
  readonly properties?: Readonly<Record<string, Published & Readonly<Record<string, unknown>>>>;
  readonly required?: readonly string[];
  readonly 'x-kubernetes-map-type'?: string;
  readonly 'x-kubernetes-group-version-kind'?: readonly { readonly group: string; readonly version: string; readonly kind: string }[];
}

function typeWord({ type = 'any', format, $ref, items, additionalProperties }: Published): string {
  if ($ref !== undefined) return $ref.replace('#/definitions/', '');
  if (type === 'array') return `[]${typeWord(items ?? {})}`;
  if (type === 'object') return additionalProperties === undefined ? 'object' : `{}${typeWord(additionalProperties)}`;
  return format === undefined ? type : `${type}:${format}`;
}

const mergeFacts = ['list-type', 'list-map-keys', 'patch-merge-key', 'patch-strategy', 'map-type'];

function definitionWords(definition: Published): Record<string, string> {
  const words: Record<string, string> = {};
  if (definition.properties === undefined && definition.type !== undefined) words[''] = typeWord(definition);
  for (const [field, property] of Object.entries(definition.properties ?? {})) {
    const facts = mergeFacts.flatMap((fact) => {
      const value = property[`x-kubernetes-${fact}`];
      return value === undefined ? [] : [`${fact}=${Array.isArray(value) ? value.join(',') : text(value)}`];
    });
    words[field] = [`${typeWord(property)}${definition.required?.includes(field) === true ? '!' : ''}`, ...facts].join(' ');
  }
  if (definition['x-kubernetes-map-type'] !== undefined) words['map-type:'] = definition['x-kubernetes-map-type'];
  const [gvk, ...others] = definition['x-kubernetes-group-version-kind'] ?? [];
  if (gvk !== undefined && others.length === 0) words['kind:'] = [gvk.group, gvk.version, gvk.kind].filter((part) => part !== '').join('/');
  return words;
}

test('published schemas have the types, required marks and merge facts of a real server', () => {
  const published = describe(allKinds, openApi2).definitions as Readonly<Record<string, Published>>;
  const ours = Object.fromEntries(Object.entries(published).map(([name, definition]) => [name, definitionWords(definition)]));
  const found: string[] = [];
  for (const [name, theirs] of Object.entries(definitions.served as Readonly<Record<string, Readonly<Record<string, string>>>>)) {
    const same = ours[name];
    // Fields that came since are no difference.
    found.push(...differences(name, theirs, same && sameNames(theirs, same)));
  }
  assertExplained(found, known.definitions);
  for (const name of definitions.removed) assert.ok(!(name in ours), `${name} is no longer published`);
});

interface Named {
  readonly metadata: { readonly name?: string; readonly namespace?: string; readonly labels?: object; readonly annotations?: object };
}

function byName(objects: readonly Named[]): Record<string, unknown> {
  return Object.fromEntries(
    objects.map(({ metadata: { name = '', namespace, labels, annotations }, ...rest }) => [
      namespace === undefined ? name : `${namespace}/${name}`,
      { ...rest, ...(labels && Object.keys(labels).length > 0 && { labels }), ...(annotations && { annotations }) },
    ]),
  );
}

interface Rules {
  readonly rules?: readonly Readonly<Record<string, readonly string[] | undefined>>[];
}

/** Each thing a role allows, one by one: how they are grouped into rules says nothing. */
function allowed({ rules = [] }: Rules): Set<string> {
  const every = rules.flatMap(({ verbs = [], apiGroups = [''], resources = [], resourceNames = [''], nonResourceURLs = [] }) =>
    verbs.flatMap((verb) => [
      ...apiGroups.flatMap((group) =>
        resources.flatMap((resource) => resourceNames.map((name) => `${verb} ${resource}${group && `.${group}`}${name && `/${name}`}`)),
      ),
      ...nonResourceURLs.map((url) => `${verb} ${url}`),
    ]),
  );
  return new Set(every);
}

/** What a role of ours allows less, and what more. */
function ruleDifferences(theirs: Readonly<Record<string, unknown>>, ours: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(theirs).flatMap(([name, role]) => {
    const mine = ours[name];
    if (mine === undefined) return [`${name}: missing`];
    const [has, had] = [allowed(mine as Rules), allowed(role as Rules)];
    const { rules: _theirs, ...rest } = role as Record<string, unknown>;
    const { rules: _ours, ...own } = mine as Record<string, unknown>;
    return [
      ...[...had].filter((one) => !has.has(one)).map((one) => `${name}: lacks ${one}`),
      ...[...has].filter((one) => !had.has(one)).map((one) => `${name}: adds ${one}`),
      ...differences(name, rest, own),
    ];
  });
}

test('an empty cluster has the roles of a real one', () => {
  assertExplained(ruleDifferences(bootstrap.clusterroles, byName(bootstrapClusterRoles())), known.clusterRoles);
  assertExplained(ruleDifferences(bootstrap.roles, byName(bootstrapRoles())), known.roles);
});

test('an empty cluster binds its roles to whom a real one does', () => {
  const clusterBindings = byName(bootstrapClusterRoleBindings());
  assertExplained(
    differences('', bootstrap.clusterrolebindings, sameNames(bootstrap.clusterrolebindings, clusterBindings)),
    known.clusterRoleBindings,
  );
  const bindings = byName(bootstrapRoleBindings());
  assertExplained(differences('', bootstrap.rolebindings, sameNames(bootstrap.rolebindings, bindings)), known.roleBindings);
});

test('an empty cluster has the priority classes of a real one', () => {
  const ours = byName(systemPriorityClasses) as Record<string, Record<string, unknown>>;
  const same = Object.fromEntries(Object.entries(ours).map(([name, { description: _words, ...rest }]) => [name, rest]));
  assert.deepEqual(same, bootstrap.priorityclasses);
});

test('an empty cluster has the flow schemas and priority levels of a real one', () => {
  const bare = (objects: Record<string, unknown>): Record<string, unknown> =>
    Object.fromEntries(Object.entries(objects).map(([name, object]) => [name, { spec: (object as { spec: unknown }).spec }]));
  const schemas = bare(byName(bootstrapFlowSchemas()));
  assertExplained(differences('', bootstrap.flowschemas, sameNames(bootstrap.flowschemas, schemas)), known.flowSchemas);
  const levels = bare(byName(bootstrapPriorityLevels()));
  const theirs = withNewerShares(bootstrap.prioritylevelconfigurations);
  assertExplained(differences('', theirs, sameNames(theirs, levels)), known.priorityLevels);
});

/** `assuredConcurrencyShares` of v1beta1 is what `nominalConcurrencyShares` is since. */
function withNewerShares(levels: Readonly<Record<string, { readonly spec: object }>>): Record<string, unknown> {
  return JSON.parse(JSON.stringify(levels).replaceAll('"assuredConcurrencyShares"', '"nominalConcurrencyShares"')) as Record<string, unknown>;
}
