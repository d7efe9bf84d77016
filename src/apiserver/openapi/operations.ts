/** Paths: what can be done with each kind and where, derived from its verbs and subresources. */
import { apiVersionOf, type Kind, type Subresource } from '../../api/kind.ts';
import { builtInName, metaV1 } from '../named-types.ts';
import type { Definitions, GroupVersionKind } from './definitions.ts';
import { definitionName } from './definitions.ts';
import type { Dialect, ParameterFacts } from './dialect.ts';

type Method = 'get' | 'post' | 'put' | 'patch' | 'delete';

interface Operation {
  readonly method: Method;
  /** Upstream's `x-kubernetes-action`. */
  readonly action: string;
  readonly id: string;
  readonly description: string;
  readonly query: readonly string[];
  readonly body?: object;
  readonly answer: object;
}

const query = (name: string, type: ParameterFacts['type'], description: string): readonly [string, ParameterFacts] => [
  name,
  { name, in: 'query', type, description },
];

const queryParameters: ReadonlyMap<string, ParameterFacts> = new Map([
  query('allowWatchBookmarks', 'boolean', 'Ask for BOOKMARK events, which tell how far a watch has come.'),
  query('continue', 'string', 'Where to go on with a list that was cut by its limit.'),
  query('dryRun', 'string', 'All: go through every stage but do not store the result.'),
  query('fieldManager', 'string', 'The name under which the change is recorded in managed fields.'),
  query('fieldSelector', 'string', 'Only objects whose fields match.'),
  query('fieldValidation', 'string', 'What happens to unknown and duplicate fields: Ignore, Warn or Strict.'),
  query('force', 'boolean', 'For apply: take over fields that other managers own.'),
  query('gracePeriodSeconds', 'integer', 'How long the object may take to end before it is deleted.'),
  query('labelSelector', 'string', 'Only objects whose labels match.'),
  query('limit', 'integer', 'At most so many items at a time.'),
  query('orphanDependents', 'boolean', 'Deprecated: see propagationPolicy.'),
  query('pretty', 'string', 'Indent the answer for people.'),
  query('propagationPolicy', 'string', 'What happens to dependents: Orphan, Background or Foreground.'),
  query('resourceVersion', 'string', 'The version from which to read or watch.'),
  query('resourceVersionMatch', 'string', 'How the version constrains what is read: Exact or NotOlderThan.'),
  query('sendInitialEvents', 'boolean', 'Begin a watch with the objects that are there.'),
  query('timeoutSeconds', 'integer', 'How long a list or watch may take.'),
  query('watch', 'boolean', 'Stream changes instead of answering once.'),
]);

const listQuery = [
  'allowWatchBookmarks',
  'continue',
  'fieldSelector',
  'labelSelector',
  'limit',
  'pretty',
  'resourceVersion',
  'resourceVersionMatch',
  'sendInitialEvents',
  'timeoutSeconds',
  'watch',
];
const writeQuery = ['dryRun', 'fieldManager', 'fieldValidation', 'pretty'];
const deleteQuery = ['dryRun', 'gracePeriodSeconds', 'orphanDependents', 'pretty', 'propagationPolicy'];
const collectionQuery = ['continue', 'fieldSelector', 'labelSelector', 'limit', 'resourceVersion', 'resourceVersionMatch', 'timeoutSeconds'];

const bodyTypes = ['application/json', 'application/yaml'];
const patchTypes = [
  'application/apply-patch+yaml',
  'application/json-patch+json',
  'application/merge-patch+json',
  'application/strategic-merge-patch+json',
];
/** A definition does not say what strategic merge needs to know; kubectl looks here for what it may send. */
const customPatchTypes = patchTypes.filter((type) => type !== 'application/strategic-merge-patch+json');
const answerTypes = ['application/json', 'application/yaml'];

export class Operations {
  private readonly dialect: Dialect;
  private readonly definitions: Definitions;
  private readonly paths: Record<string, Record<string, unknown>> = {};

  constructor(dialect: Dialect, definitions: Definitions) {
    this.dialect = dialect;
    this.definitions = definitions;
  }

  all(): Record<string, object> {
    return Object.fromEntries(Object.entries(this.paths).sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  addKind(kind: Kind): void {
    const root = kind.group === '' ? `/api/${kind.version}` : `/apis/${apiVersionOf(kind)}`;
    const collection = kind.namespaced ? `${root}/namespaces/{namespace}/${kind.resource}` : `${root}/${kind.resource}`;
    const item = `${collection}/{name}`;
    const own = this.dialect.reference(definitionName(kind), undefined);
    const list = this.dialect.reference(`${definitionName(kind)}List`, undefined);
    const scope = kind.namespaced ? 'Namespaced' : '';
    const can = (verb: Kind['verbs'][number]): boolean => kind.verbs.includes(verb);
    const deleteOptions = can('delete')
      ? this.definitions.refer(`${metaV1}.DeleteOptions`, [{ group: '', version: 'v1', kind: 'DeleteOptions' }])
      : {};
    const status = can('delete') ? this.definitions.refer(`${metaV1}.Status`, [{ group: '', version: 'v1', kind: 'Status' }]) : {};

    if (can('list'))
      this.add(collection, kind, kind, {
        method: 'get',
        action: 'list',
        id: `list${scope}`,
        description: `list or watch objects of kind ${kind.kind}`,
        query: listQuery,
        answer: list,
      });
    if (can('create'))
      this.add(collection, kind, kind, {
        method: 'post',
        action: 'post',
        id: `create${scope}`,
        description: `create ${article(kind.kind)}`,
        query: writeQuery,
        body: own,
        answer: own,
      });
    if (can('deletecollection')) {
      const parameters = [...new Set([...collectionQuery, ...deleteQuery])].sort();
      this.add(collection, kind, kind, {
        method: 'delete',
        action: 'deletecollection',
        id: `deleteCollection${scope}`,
        description: `delete collection of ${kind.kind}`,
        query: parameters,
        body: deleteOptions,
        answer: status,
      });
    }
    if (can('get'))
      this.add(item, kind, kind, {
        method: 'get',
        action: 'get',
        id: `read${scope}`,
        description: `read the specified ${kind.kind}`,
        query: ['pretty'],
        answer: own,
      });
    if (can('update'))
      this.add(item, kind, kind, {
        method: 'put',
        action: 'put',
        id: `replace${scope}`,
        description: `replace the specified ${kind.kind}`,
        query: writeQuery,
        body: own,
        answer: own,
      });
    if (can('patch')) this.add(item, kind, kind, this.patch(scope, `partially update the specified ${kind.kind}`, own));
    if (can('delete'))
      this.add(item, kind, kind, {
        method: 'delete',
        action: 'delete',
        id: `delete${scope}`,
        description: `delete ${article(kind.kind)}`,
        query: deleteQuery,
        body: deleteOptions,
        answer: status,
      });
    if (can('list') && kind.namespaced) {
      this.add(`${root}/${kind.resource}`, kind, kind, {
        method: 'get',
        action: 'list',
        id: 'listForAllNamespaces',
        description: `list or watch objects of kind ${kind.kind}`,
        query: listQuery,
        answer: list,
      });
    }
    for (const [name, subresource] of Object.entries(kind.subresources)) this.addSubresource(`${item}/${name}`, kind, name, subresource, own, scope);
  }

  private addSubresource(path: string, kind: Kind, name: string, { verbs, body }: Subresource, own: object, scope: string): void {
    const about = body ?? kind;
    const type = body === undefined ? own : this.bodyReference(body);
    const suffix = `${scope}${kind.kind}${capital(name)}`;
    if (verbs.includes('get'))
      this.add(path, kind, about, {
        method: 'get',
        action: 'get',
        id: `read${suffix}`,
        description: `read ${name} of the specified ${kind.kind}`,
        query: ['pretty'],
        answer: type,
      });
    if (verbs.includes('create'))
      this.add(path, kind, about, {
        method: 'post',
        action: 'post',
        id: `create${suffix}`,
        description: `create ${name} of ${article(kind.kind)}`,
        query: writeQuery,
        body: type,
        answer: type,
      });
    if (verbs.includes('update'))
      this.add(path, kind, about, {
        method: 'put',
        action: 'put',
        id: `replace${suffix}`,
        description: `replace ${name} of the specified ${kind.kind}`,
        query: writeQuery,
        body: type,
        answer: type,
      });
    if (verbs.includes('patch')) this.add(path, kind, about, this.patch(suffix, `partially update ${name} of the specified ${kind.kind}`, type));
  }

  private patch(suffix: string, description: string, answer: object): Operation {
    return { method: 'patch', action: 'patch', id: `patch${suffix}`, description, query: [...writeQuery, 'force'], body: { type: 'object' }, answer };
  }

  /** Connect subresources (`PodExecOptions`) have options instead of a body. */
  private bodyReference({ group, version, kind }: GroupVersionKind): object {
    if (kind.endsWith('Options')) return { type: 'string' };
    return this.definitions.refer(builtInName(group, version, kind), [{ group, version, kind }]);
  }

  private add(path: string, kind: Kind, about: GroupVersionKind, operation: Operation): void {
    const { dialect } = this;
    const { method, action, id, description, body, answer } = operation;
    const item = (this.paths[path] ??= { parameters: pathParameters(path).map((parameter) => dialect.parameter(parameter)) });
    const parameters = operation.query.flatMap((name) => {
      const facts = queryParameters.get(name);
      return facts === undefined ? [] : [dialect.parameter(facts)];
    });
    const patches = kind.custom ? customPatchTypes : patchTypes;
    const sent = dialect.body(body, method === 'patch' ? patches : bodyTypes);
    item[method] = {
      tags: [tagOf(kind)],
      description,
      operationId: operationName(kind, id),
      ...(dialect.version === 2 && { consumes: method === 'patch' ? patches : ['*/*'], produces: answerTypes, schemes: ['https'] }),
      parameters: sent.parameter === undefined ? parameters : [sent.parameter, ...parameters],
      ...(sent.requestBody !== undefined && { requestBody: sent.requestBody }),
      responses: { [method === 'post' ? '201' : '200']: dialect.response(answer, answerTypes), '401': { description: 'Unauthorized' } },
      'x-kubernetes-action': action,
      'x-kubernetes-group-version-kind': { group: about.group, version: about.version, kind: about.kind },
    };
  }
}

/** `createAppsV1NamespacedDeployment`. */
function operationName(kind: Kind, id: string): string {
  const group = kind.group === '' ? 'Core' : capital((kind.group.split('.')[0] ?? '').replaceAll('-', ''));
  const match = /^(list|create|deleteCollection|read|replace|patch|delete)(.*)$/.exec(id);
  const [, verb = id, rest = ''] = match ?? [];
  const named = rest === 'ForAllNamespaces' ? `${kind.kind}ForAllNamespaces` : rest.includes(kind.kind) ? rest : `${rest}${kind.kind}`;
  return `${verb}${group}${capital(kind.version)}${named}`;
}

function tagOf(kind: Kind): string {
  return `${kind.group === '' ? 'core' : (kind.group.split('.')[0] ?? '')}_${kind.version}`;
}

function pathParameters(path: string): ParameterFacts[] {
  const parameters: ParameterFacts[] = [];
  if (path.includes('{name}')) parameters.push({ name: 'name', in: 'path', type: 'string', description: "The object's name." });
  if (path.includes('{namespace}')) parameters.push({ name: 'namespace', in: 'path', type: 'string', description: "The object's namespace." });
  return parameters;
}

function article(kind: string): string {
  return `${/^[AEIOU]/.test(kind) ? 'an' : 'a'} ${kind}`;
}

function capital(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}
