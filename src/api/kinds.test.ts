/** The declarations against a real server's discovery and tables (`recorded/`, v1.20), with what 1.36 changed listed here. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allVerbs, apiVersionOf, type Column, type Kind } from './kind.ts';
import { allKinds } from './kinds.ts';
import columns from './recorded/columns.json' with { type: 'json' };
import resources from './recorded/resources.json' with { type: 'json' };
import model from './generated/operations.json' with { type: 'json' };
import served from './generated/served-kinds.json' with { type: 'json' };

function pathOf(kind: Kind): string {
  return `${apiVersionOf(kind)}/${kind.resource}`;
}

const byPath = new Map(allKinds.map((kind) => [pathOf(kind), kind]));

interface Resource {
  readonly kind: string;
  readonly namespaced: boolean;
  readonly verbs: readonly string[];
  readonly shortNames?: readonly string[];
  readonly categories?: readonly string[];
  readonly group?: string;
  readonly version?: string;
}

/** What 1.36 serves otherwise than 1.20. */
const changed: Readonly<Record<string, Partial<Resource>>> = {
  'v1/pods/eviction': { version: 'v1' },
  'admissionregistration.k8s.io/v1/mutatingwebhookconfigurations': { categories: ['api-extensions'] },
  'admissionregistration.k8s.io/v1/validatingwebhookconfigurations': { categories: ['api-extensions'] },
  'v1/services': { verbs: allVerbs },
};

test('every kind of the published model is declared, at its path and with its scope', () => {
  const declared = allKinds.map((kind) => `${pathOf(kind)} ${kind.kind} ${kind.namespaced}`).toSorted();
  const expected = served.map(({ group, version, kind, resource, namespaced }) => {
    const groupVersion = group === '' ? version : `${group}/${version}`;
    return `${groupVersion}/${resource} ${kind} ${namespaced}`;
  });
  assert.deepEqual(declared, expected.toSorted());
});

test('every subresource of the published model is declared', () => {
  const found = new Map<string, Set<string>>();
  for (const { path } of model.operations) {
    const [, group, version, resource, subresource] =
      /^\/(?:api|apis\/([^/]+))\/(v\d+)\/(?:namespaces\/\{namespace\}\/)?([a-z]+)\/\{name\}\/([a-z]+)(?:\/\{path\})?$/.exec(path) ?? [];
    if (version === undefined || resource === undefined || subresource === undefined) continue;
    const key = group === undefined ? `${version}/${resource}` : `${group}/${version}/${resource}`;
    found.set(key, (found.get(key) ?? new Set()).add(subresource));
  }
  for (const kind of allKinds)
    assert.deepEqual(Object.keys(kind.subresources).toSorted(), [...(found.get(pathOf(kind)) ?? [])].toSorted(), pathOf(kind));
});

test('short names, categories, scope and verbs are those of a real server', () => {
  for (const [path, recorded] of Object.entries(resources as Record<string, Resource>)) {
    const [resource = '', subresource] = path.split('/').slice(path.startsWith('v1/') ? 1 : 2);
    const kind = byPath.get(`${path.slice(0, path.indexOf(`/${resource}`))}/${resource}`);
    assert.ok(kind, `${path} is declared`);
    const expected = { ...recorded, ...changed[path] };
    if (subresource === undefined) {
      const { shortNames, categories, namespaced, verbs } = kind;
      assert.deepEqual(
        { shortNames, categories, namespaced, verbs },
        { shortNames: expected.shortNames ?? [], categories: expected.categories ?? [], namespaced: expected.namespaced, verbs: expected.verbs },
        path,
      );
      continue;
    }
    const declared = kind.subresources[subresource];
    assert.ok(declared, `${path} is declared`);
    assert.deepEqual([...declared.verbs].toSorted(), [...expected.verbs].toSorted(), path);
    const body = declared.body ?? { group: kind.group, version: kind.version, kind: kind.kind };
    const group = expected.group ?? body.group;
    assert.deepEqual({ group: body.group, kind: body.kind }, { group, kind: expected.kind }, path);
  }
});

/** The columns of 1.36 where they differ: `name:type*`, the star for wide ones. */
const newerColumns: Readonly<Record<string, readonly string[]>> = {
  'v1/pods': ['Name', 'Ready', 'Status', 'Restarts', 'Age', 'IP*', 'Node*', 'Nominated Node*', 'Readiness Gates*'],
  'v1/persistentvolumeclaims': [
    'Name',
    'Status',
    'Volume',
    'Capacity',
    'Access Modes',
    'StorageClass',
    'VolumeAttributesClass',
    'Age',
    'VolumeMode*',
  ],
  'v1/persistentvolumes': [
    'Name',
    'Capacity',
    'Access Modes',
    'Reclaim Policy',
    'Status',
    'Claim',
    'StorageClass',
    'VolumeAttributesClass',
    'Reason',
    'Age',
    'VolumeMode*',
  ],
  'v1/resourcequotas': ['Name', 'Request', 'Limit', 'Age'],
  'batch/v1/jobs': ['Name', 'Status', 'Completions', 'Duration', 'Age', 'Containers*', 'Images*', 'Selector*'],
  'batch/v1/cronjobs': [
    'Name',
    'Schedule',
    'Timezone',
    'Suspend:boolean',
    'Active:integer',
    'Last Schedule',
    'Age',
    'Containers*',
    'Images*',
    'Selector*',
  ],
  'certificates.k8s.io/v1/certificatesigningrequests': ['Name', 'Age', 'SignerName', 'Requestor', 'RequestedDuration', 'Condition'],
  'storage.k8s.io/v1/csidrivers': [
    'Name',
    'AttachRequired:boolean',
    'PodInfoOnMount:boolean',
    'StorageCapacity:boolean',
    'TokenRequests',
    'RequiresRepublish:boolean',
    'Modes',
    'Age',
  ],
  'scheduling.k8s.io/v1/priorityclasses': ['Name', 'Value:integer', 'Global-Default:boolean', 'PreemptionPolicy', 'Age'],
  'flowcontrol.apiserver.k8s.io/v1/prioritylevelconfigurations': [
    'Name',
    'Type',
    'NominalConcurrencyShares',
    'Queues',
    'HandSize',
    'QueueLengthLimit',
    'Age',
  ],
};

test('tables have the columns of a real server', () => {
  const word = ({ name, type, priority = 0 }: Column<Kind extends Kind<infer T> ? T : never>): string =>
    `${name}${type === 'string' ? '' : `:${type}`}${priority > 0 ? '*' : ''}`;
  for (const [path, recorded] of Object.entries(columns)) {
    assert.deepEqual(byPath.get(path)?.columns.map(word), newerColumns[path] ?? recorded, path);
  }
});
