/**
 * The audit policy: how much of which request is written down. The first rule that fits decides; without one, nothing is.
 * See https://kubernetes.io/docs/tasks/debug/debug-cluster/audit/#audit-policy
 */
import { parse } from 'yaml';
import type { User } from '../request.ts';

export const auditLevels = ['None', 'Metadata', 'Request', 'RequestResponse'] as const;
export const auditStages = ['RequestReceived', 'ResponseStarted', 'ResponseComplete', 'Panic'] as const;

export type AuditLevel = (typeof auditLevels)[number];
export type AuditStage = (typeof auditStages)[number];

/** A request as rules look at it. */
export interface AuditedAction {
  readonly user: User;
  readonly verb: string;
  /** Empty for a path. */
  readonly resource: string;
  readonly group: string;
  readonly subresource: string;
  readonly namespace: string;
  readonly name: string;
  /** Empty for a resource. */
  readonly path: string;
}

/** What is written of a request. */
export interface AuditTreatment {
  readonly level: AuditLevel;
  readonly omitStages: ReadonlySet<AuditStage>;
  readonly omitManagedFields: boolean;
}

interface ResourceSelector {
  readonly group: string;
  readonly resources: readonly string[];
  readonly resourceNames: readonly string[];
}

interface AuditRule {
  readonly treatment: AuditTreatment;
  readonly users: readonly string[];
  readonly userGroups: readonly string[];
  readonly verbs: readonly string[];
  readonly resources: readonly ResourceSelector[];
  readonly namespaces: readonly string[];
  readonly nonResourceURLs: readonly string[];
}

export interface AuditPolicy {
  treatmentOf(action: AuditedAction): AuditTreatment;
}

/** The policy file cannot be used; the message names the field. */
export class AuditPolicyError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'AuditPolicyError';
  }
}

const nothing: AuditTreatment = { level: 'None', omitStages: new Set(), omitManagedFields: false };

/** Reads a policy file, YAML or JSON. Throws {@link AuditPolicyError}. */
export function parseAuditPolicy(text: string): AuditPolicy {
  const document = fieldsOf(parsed(text), 'the policy');
  if (document['apiVersion'] !== 'audit.k8s.io/v1' || document['kind'] !== 'Policy') {
    throw new AuditPolicyError('the file is not a Policy of audit.k8s.io/v1');
  }
  const stages = stagesAt(document, 'omitStages');
  const omitManagedFields = document['omitManagedFields'] === true;
  const rules = listAt(document, 'rules').map((rule, index) =>
    ruleOf(fieldsOf(rule, `rules[${index}]`), `rules[${index}]`, stages, omitManagedFields),
  );
  if (rules.length === 0) throw new AuditPolicyError('rules: Required value: a policy without rules writes nothing');
  return { treatmentOf: (action) => rules.find((rule) => fits(rule, action))?.treatment ?? nothing };
}

function ruleOf(rule: Fields, at: string, stages: readonly AuditStage[], omitManagedFields: boolean): AuditRule {
  const level = auditLevels.find((known) => known === rule['level']);
  if (level === undefined) throw new AuditPolicyError(`${at}.level: Unsupported value: supported values: ${auditLevels.join(', ')}`);
  const nonResourceURLs = textsAt(rule, 'nonResourceURLs');
  const resources = listAt(rule, 'resources').map((selector, index): ResourceSelector => {
    const fields = fieldsOf(selector, `${at}.resources[${index}]`);
    const group = fields['group'];
    return {
      group: typeof group === 'string' ? group : '',
      resources: textsAt(fields, 'resources'),
      resourceNames: textsAt(fields, 'resourceNames'),
    };
  });
  const namespaces = textsAt(rule, 'namespaces');
  if (nonResourceURLs.length > 0 && (resources.length > 0 || namespaces.length > 0)) {
    throw new AuditPolicyError(`${at}.nonResourceURLs: Invalid value: rules cannot apply to both regular resources and non-resource URLs`);
  }
  const own = rule['omitManagedFields'];
  return {
    treatment: {
      level,
      omitStages: new Set([...stages, ...stagesAt(rule, 'omitStages')]),
      omitManagedFields: typeof own === 'boolean' ? own : omitManagedFields,
    },
    users: textsAt(rule, 'users'),
    userGroups: textsAt(rule, 'userGroups'),
    verbs: textsAt(rule, 'verbs'),
    resources,
    namespaces,
    nonResourceURLs,
  };
}

function fits(rule: AuditRule, action: AuditedAction): boolean {
  const { users, userGroups, verbs, resources, namespaces, nonResourceURLs } = rule;
  if (users.length > 0 && !users.includes(action.user.name)) return false;
  if (userGroups.length > 0 && !userGroups.some((group) => action.user.groups.includes(group))) return false;
  if (verbs.length > 0 && !verbs.includes(action.verb)) return false;
  if (namespaces.length > 0 || resources.length > 0) {
    if (action.path !== '') return false;
    if (namespaces.length > 0 && !namespaces.includes(action.namespace)) return false;
    return resources.length === 0 || resources.some((selector) => selects(selector, action));
  }
  if (nonResourceURLs.length > 0) return action.path !== '' && nonResourceURLs.some((pattern) => matchesPath(pattern, action.path));
  return true;
}

function selects({ group, resources, resourceNames }: ResourceSelector, action: AuditedAction): boolean {
  if (group !== action.group) return false;
  if (resources.length === 0) return true;
  if (resourceNames.length > 0 && !resourceNames.includes(action.name)) return false;
  const { resource, subresource } = action;
  const whole = subresource === '' ? resource : `${resource}/${subresource}`;
  return resources.some(
    (pattern) => pattern === '*' || pattern === whole || (subresource !== '' && (pattern === `*/${subresource}` || pattern === `${resource}/*`)),
  );
}

function matchesPath(pattern: string, path: string): boolean {
  if (pattern === '*' || pattern === path) return true;
  return pattern.endsWith('*') && path.startsWith(pattern.slice(0, -1));
}

type Fields = Readonly<Record<string, unknown>>;

function parsed(text: string): unknown {
  try {
    return parse(text);
  } catch (error) {
    throw new AuditPolicyError(`the file is not YAML: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function fieldsOf(value: unknown, what: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new AuditPolicyError(`${what} is not an object`);
  return value as Fields;
}

function listAt(fields: Fields, name: string): readonly unknown[] {
  const value = fields[name] ?? [];
  if (!Array.isArray(value)) throw new AuditPolicyError(`${name} is not a list`);
  return value;
}

function textsAt(fields: Fields, name: string): readonly string[] {
  return listAt(fields, name).map(String);
}

function stagesAt(fields: Fields, name: string): AuditStage[] {
  return textsAt(fields, name).map((text) => {
    const stage = auditStages.find((known) => known === text);
    if (stage === undefined) throw new AuditPolicyError(`${name}: Unsupported value: "${text}": supported values: ${auditStages.join(', ')}`);
    return stage;
  });
}
