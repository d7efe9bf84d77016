/** Rules for FlowSchemas and PriorityLevelConfigurations. Follows `pkg/apis/flowcontrol/validation`. */
import { own } from '../../machinery/own.ts';
import { equal } from '../../machinery/equal.ts';
import { at, forbiddenField, invalidValue, notSupported, required, type FieldError } from '../../machinery/field-error.ts';
import { dnsLabelErrors, dnsSubdomainErrors } from '../../machinery/names.ts';
import { messages, noDuplicates, requiredName } from '../field-checks.ts';
import type {
  FlowcontrolV1Subject,
  V1FlowSchema,
  V1FlowSchemaSpec,
  V1LimitedPriorityLevelConfiguration,
  V1NonResourcePolicyRule,
  V1PolicyRulesWithSubjects,
  V1PriorityLevelConfiguration,
  V1QueuingConfiguration,
  V1ResourcePolicyRule,
} from '../types.ts';

const verbs = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'proxy', 'update', 'watch'];
const maxPrecedence = 10_000;
const maxQueues = 10_000_000;
/** How many bits of a flow's hash there are to pick its queues with. */
const maxHashBits = 60;

const everyResource = { verbs: ['*'], apiGroups: ['*'], resources: ['*'], clusterScope: true, namespaces: ['*'] };
const everyPath = { verbs: ['*'], nonResourceURLs: ['*'] };
const group = (name: string): FlowcontrolV1Subject => ({ kind: 'Group', group: { name } });

/** The two schemas without which the server could not work: their specs are fixed. */
const mandatorySchemas: Readonly<Record<string, V1FlowSchemaSpec | undefined>> = {
  exempt: {
    priorityLevelConfiguration: { name: 'exempt' },
    matchingPrecedence: 1,
    rules: [{ subjects: [group('system:masters')], resourceRules: [everyResource], nonResourceRules: [everyPath] }],
  },
  'catch-all': {
    priorityLevelConfiguration: { name: 'catch-all' },
    matchingPrecedence: maxPrecedence,
    distinguisherMethod: { type: 'ByUser' },
    rules: [
      {
        subjects: [group('system:unauthenticated'), group('system:authenticated')],
        resourceRules: [everyResource],
        nonResourceRules: [everyPath],
      },
    ],
  },
};

export function validateFlowSchema({ metadata, spec, status }: V1FlowSchema): FieldError[] {
  const { matchingPrecedence: precedence = 0, distinguisherMethod: method, rules = [] } = spec;
  const errors: FieldError[] = [];
  const wrong = (why: string): number => errors.push(invalidValue('spec.matchingPrecedence', precedence, why));
  if (precedence <= 0) wrong('must be a positive value');
  if (precedence > maxPrecedence) wrong(`must not be greater than ${maxPrecedence}`);
  if (precedence === 1 && metadata.name !== 'exempt') wrong("only the schema named 'exempt' may have matchingPrecedence 1");
  if (method !== undefined && method.type !== 'ByUser' && method.type !== 'ByNamespace')
    errors.push(notSupported('spec.distinguisherMethod.type', method, ['ByNamespace', 'ByUser']));
  errors.push(
    ...requiredName(
      'spec.priorityLevelConfiguration.name',
      spec.priorityLevelConfiguration?.name,
      dnsSubdomainErrors,
      'must reference a priority level',
    ),
    ...rules.flatMap((rule, index) => validateRule(at('spec.rules', index), rule)),
  );
  const fixed = own(mandatorySchemas, metadata.name);
  if (fixed !== undefined && !equal(spec, fixed)) errors.push(invalidValue('spec', spec, `spec of '${metadata.name}' must equal the fixed value`));
  return [...errors, ...validateConditions('status.conditions', status?.conditions ?? [])];
}

export function validateConditions(field: string, conditions: readonly { readonly type?: string }[]): FieldError[] {
  return [
    ...noDuplicates(field, conditions, ({ type }) => type, '.type'),
    ...conditions.flatMap(({ type = '' }, index) => (type === '' ? [required(`${at(field, index)}.type`, 'must not be empty')] : [])),
  ];
}

function validateRule(field: string, { subjects, resourceRules = [], nonResourceRules = [] }: V1PolicyRulesWithSubjects): FieldError[] {
  return [
    ...(subjects.length === 0 ? [required(`${field}.subjects`, 'subjects must contain at least one value')] : []),
    ...subjects.flatMap((subject, index) => validateSubject(at(`${field}.subjects`, index), subject)),
    ...(resourceRules.length + nonResourceRules.length === 0
      ? [required(field, 'at least one of resourceRules and nonResourceRules has to be non-empty')]
      : []),
    ...resourceRules.flatMap((rule, index) => validateResourceRule(at(`${field}.resourceRules`, index), rule)),
    ...nonResourceRules.flatMap((rule, index) => validatePathRule(at(`${field}.nonResourceRules`, index), rule)),
  ];
}

/** Which field says who, by kind. */
const subjectFields = { Group: 'group', ServiceAccount: 'serviceAccount', User: 'user' } as const;

function validateSubject(field: string, subject: FlowcontrolV1Subject): FieldError[] {
  if (own(subjectFields, subject.kind) === undefined) return [notSupported(`${field}.kind`, subject.kind, Object.keys(subjectFields))];
  const errors: FieldError[] = [];
  for (const [kind, name] of Object.entries(subjectFields)) {
    const who = subject[name];
    const path = `${field}.${name}`;
    if (kind !== subject.kind) {
      if (who !== undefined) errors.push(forbiddenField(path, `${name} is forbidden when subject kind is not '${kind}'`));
    } else if (who === undefined) {
      errors.push(required(path, `${name} is required when subject kind is '${kind}'`));
    } else if ((who.name ?? '') === '') {
      errors.push(required(`${path}.name`));
    }
  }
  const account = subject.kind === 'ServiceAccount' ? subject.serviceAccount : undefined;
  if (account === undefined) return errors;
  const path = `${field}.serviceAccount`;
  if (account.name !== '' && account.name !== '*') errors.push(...messages(`${path}.name`, account.name, dnsSubdomainErrors(account.name)));
  return [...errors, ...requiredName(`${path}.namespace`, account.namespace, dnsLabelErrors, 'must specify namespace for service account')];
}

/** A list of words that is either `*` alone or without it. */
function validateWords(field: string, words: readonly string[] | undefined, missing: string, others: string): FieldError[] {
  if (words === undefined || words.length === 0) return [required(field, missing)];
  return words.length > 1 && words.includes('*') ? [invalidValue(field, words, `if '*' is present, must not specify other ${others}`)] : [];
}

function validateVerbs(field: string, found: readonly string[]): FieldError[] {
  const errors = validateWords(field, found, 'verbs must contain at least one value', 'verbs');
  if (errors.length > 0 || found.includes('*') || found.every((verb) => verbs.includes(verb))) return errors;
  return [notSupported(field, found, verbs)];
}

function validateResourceRule(field: string, rule: V1ResourcePolicyRule): FieldError[] {
  const { namespaces = [] } = rule;
  const path = `${field}.namespaces`;
  const errors = [
    ...validateVerbs(`${field}.verbs`, rule.verbs),
    ...validateWords(`${field}.apiGroups`, rule.apiGroups, 'resource rules must supply at least one api group', 'api groups'),
    ...validateWords(`${field}.resources`, rule.resources, 'resource rules must supply at least one resource', 'resources'),
  ];
  if (namespaces.length === 0 && rule.clusterScope === true) return errors;
  if (namespaces.length === 0 || namespaces.includes('*')) {
    return [
      ...errors,
      ...validateWords(path, namespaces, 'resource rules that are not cluster scoped must supply at least one namespace', 'namespaces'),
    ];
  }
  const intro = "each member of this list must be '*' or a DNS-1123 label; ";
  return [
    ...errors,
    ...namespaces.flatMap((name, index) =>
      messages(
        at(path, index),
        name,
        dnsLabelErrors(name).map((why) => intro + why),
      ),
    ),
  ];
}

function validatePathRule(field: string, { verbs: found, nonResourceURLs }: V1NonResourcePolicyRule): FieldError[] {
  const path = `${field}.nonResourceURLs`;
  const errors = [
    ...validateVerbs(`${field}.verbs`, found),
    ...validateWords(path, nonResourceURLs, 'nonResourceURLs must contain at least one value', 'non-resource URLs'),
  ];
  return nonResourceURLs.includes('*') ? errors : [...errors, ...nonResourceURLs.flatMap((url, index) => validateUrlPath(at(path, index), url))];
}

function validateUrlPath(field: string, url: string): FieldError[] {
  if (url === '') return [invalidValue(field, url, 'must not be empty')];
  if (url === '/') return [];
  const wrong = (why: string): FieldError[] => [invalidValue(field, url, why)];
  if (!url.startsWith('/')) return wrong('must start with slash');
  if (url.includes(' ')) return wrong('must not contain white-space');
  if (url.includes('//')) return wrong('must not contain double slash');
  return url.slice(0, -1).includes('*') || (url.endsWith('*') && !url.endsWith('/*')) ? wrong('wildcard can only do suffix matching') : [];
}

/** All of the level but its `exempt` part is fixed for these. */
const mandatoryLevels: Readonly<Record<string, V1PriorityLevelConfiguration['spec'] | undefined>> = {
  exempt: { type: 'Exempt' },
  'catch-all': { type: 'Limited', limited: { nominalConcurrencyShares: 5, lendablePercent: 0, limitResponse: { type: 'Reject' } } },
};

export function validatePriorityLevel({ metadata, spec, status }: V1PriorityLevelConfiguration): FieldError[] {
  const errors: FieldError[] = [];
  if ((metadata.name === 'exempt') !== (spec.type === 'Exempt'))
    errors.push(invalidValue('spec.type', spec.type, "type must be 'Exempt' if and only if `name` is 'exempt'"));
  if (spec.type === 'Exempt') {
    if (spec.limited !== undefined) errors.push(forbiddenField('spec.limited', 'must be nil if the type is not Limited'));
    if (spec.exempt !== undefined) errors.push(...validateShares('spec.exempt', spec.exempt));
  } else if (spec.type === 'Limited') {
    if (spec.exempt !== undefined) errors.push(forbiddenField('spec.exempt', 'must be nil if the type is Limited'));
    if (spec.limited === undefined) errors.push(required('spec.limited', 'must not be empty when type is Limited'));
    else errors.push(...validateLimited('spec.limited', spec.limited));
  } else {
    errors.push(notSupported('spec.type', spec.type, ['Exempt', 'Limited']));
  }
  const fixed = own(mandatoryLevels, metadata.name);
  const { exempt: _free, ...rest } = spec;
  if (fixed !== undefined && !equal(rest, fixed))
    errors.push(invalidValue('spec', spec, `spec of '${metadata.name}' except the \`spec.exempt\` field must equal the fixed value`));
  return [...errors, ...validateConditions('status.conditions', status?.conditions ?? [])];
}

interface Shares {
  readonly nominalConcurrencyShares?: number;
  readonly lendablePercent?: number;
}

function validateShares(field: string, { nominalConcurrencyShares: shares = 0, lendablePercent: percent = 0 }: Shares): FieldError[] {
  return [
    ...(shares < 0 ? [invalidValue(`${field}.nominalConcurrencyShares`, shares, 'must be a non-negative integer')] : []),
    ...(percent < 0 || percent > 100 ? [invalidValue(`${field}.lendablePercent`, percent, 'must be between 0 and 100, inclusive')] : []),
  ];
}

function validateLimited(field: string, limited: V1LimitedPriorityLevelConfiguration): FieldError[] {
  const errors = validateShares(field, limited);
  const { type = '', queuing } = limited.limitResponse ?? {};
  const path = `${field}.limitResponse`;
  if (type === 'Reject') {
    if (queuing !== undefined) errors.push(forbiddenField(`${path}.queuing`, 'must be nil if limited.limitResponse.type is not Limited'));
  } else if (type === 'Queue') {
    if (queuing === undefined) errors.push(required(`${path}.queuing`, 'must not be empty if limited.limitResponse.type is Limited'));
    else errors.push(...validateQueuing(`${path}.queuing`, queuing));
  } else {
    errors.push(notSupported(`${path}.type`, type, ['Queue', 'Reject']));
  }
  const borrowing = limited.borrowingLimitPercent;
  if (borrowing !== undefined && borrowing < 0)
    errors.push(invalidValue(`${field}.borrowingLimitPercent`, borrowing, 'if specified, must be a non-negative integer'));
  return errors;
}

function validateQueuing(field: string, { queueLengthLimit = 0, queues = 0, handSize = 0 }: V1QueuingConfiguration): FieldError[] {
  const errors: FieldError[] = [];
  if (queueLengthLimit <= 0) errors.push(invalidValue(`${field}.queueLengthLimit`, queueLengthLimit, 'must be positive'));
  if (queues <= 0) errors.push(invalidValue(`${field}.queues`, queues, 'must be positive'));
  else if (queues > maxQueues) errors.push(invalidValue(`${field}.queues`, queues, `must not be greater than ${maxQueues}`));
  if (handSize <= 0) errors.push(invalidValue(`${field}.handSize`, handSize, 'must be positive'));
  else if (handSize > queues) errors.push(invalidValue(`${field}.handSize`, handSize, `should not be greater than queues (${queues})`));
  else if (entropyBits(queues, handSize) > maxHashBits) {
    const why = `required entropy bits of deckSize ${queues} and handSize ${handSize} should not be greater than ${maxHashBits}`;
    errors.push(invalidValue(`${field}.handSize`, handSize, why));
  }
  return errors;
}

/** Bits needed to deal so many cards of a deck, in order. More than enough cards end the count early. */
function entropyBits(deck: number, hand: number): number {
  let bits = 0;
  for (let dealt = 0; dealt < hand && bits <= maxHashBits; dealt++) bits += Math.log2(deck - dealt);
  return Math.ceil(bits);
}
