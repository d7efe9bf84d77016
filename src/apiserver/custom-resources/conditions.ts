/**
 * What becomes of a definition, decided from it and the others of its group: which of its names it gets, and whether it is established. Upstream's naming,
 * establishing and API approval controllers in one.
 */
import type { CustomResourceDefinition } from '../../api/kinds.ts';
import type { V1CustomResourceDefinitionCondition, V1CustomResourceDefinitionNames, V1CustomResourceDefinitionStatus } from '../../api/types.ts';

type Verdict = Omit<V1CustomResourceDefinitionCondition, 'lastTransitionTime'>;

export function isEstablished({ status }: CustomResourceDefinition): boolean {
  return status.conditions?.some(({ type, status: value }) => type === 'Established' && value === 'True') ?? false;
}

export function hasAllNames({ status }: CustomResourceDefinition): boolean {
  return status.conditions?.some(({ type, status: value }) => type === 'NamesAccepted' && value === 'True') ?? false;
}

/** `others` are the other definitions of the group. */
export function statusOf(
  definition: CustomResourceDefinition,
  others: readonly CustomResourceDefinition[],
  now: string,
): V1CustomResourceDefinitionStatus {
  const { status, metadata } = definition;
  const { accepted, conflict } = acceptNames(definition, others);
  const verdicts: Verdict[] = [
    conflict ?? { type: 'NamesAccepted', status: 'True', reason: 'NoConflicts', message: 'no conflicts found' },
    established(definition, conflict === undefined),
    ...approval(definition),
  ];
  if (metadata.deletionTimestamp !== undefined) {
    verdicts.push({
      type: 'Terminating',
      status: 'True',
      reason: 'InstanceDeletionInProgress',
      message: 'CustomResource deletion is in progress',
    });
  }
  let conditions = status.conditions ?? [];
  for (const verdict of verdicts) conditions = withVerdict(conditions, verdict, now);
  return { ...status, acceptedNames: accepted, conditions: [...conditions] };
}

function withVerdict(
  conditions: readonly V1CustomResourceDefinitionCondition[],
  verdict: Verdict,
  now: string,
): V1CustomResourceDefinitionCondition[] {
  const old = conditions.find(({ type }) => type === verdict.type);
  if (old === undefined) return [...conditions, { lastTransitionTime: now, ...verdict }];
  const lastTransitionTime = old.status === verdict.status ? (old.lastTransitionTime ?? now) : now;
  return conditions.map((condition) => (condition === old ? { ...verdict, lastTransitionTime } : condition));
}

/** What was established stays so. */
function established({ status }: CustomResourceDefinition, isAccepted: boolean): Verdict {
  const old = status.conditions?.find(({ type }) => type === 'Established');
  if (old?.status === 'True') {
    const { lastTransitionTime: _, ...verdict } = old;
    return verdict;
  }
  return isAccepted
    ? { type: 'Established', status: 'True', reason: 'InitialNamesAccepted', message: 'the initial names have been accepted' }
    : { type: 'Established', status: 'False', reason: 'NotAccepted', message: 'not all names are accepted' };
}

export const approvalAnnotation = 'api-approved.kubernetes.io';

/** Groups of the Kubernetes community need its approval. */
export function isProtectedGroup(group: string): boolean {
  return /(?:^|\.)(?:k8s|kubernetes)\.io$/.test(group);
}

function approval({ spec, metadata }: CustomResourceDefinition): Verdict[] {
  if (!isProtectedGroup(spec.group)) return [];
  const type = 'KubernetesAPIApprovalPolicyConformant';
  const text = metadata.annotations?.[approvalAnnotation] ?? '';
  if (text === '') {
    const message = `protected groups must have approval annotation "${approvalAnnotation}", see https://github.com/kubernetes/enhancements/pull/1111`;
    return [{ type, status: 'False', reason: 'MissingAnnotation', message }];
  }
  if (text.startsWith('unapproved')) return [{ type, status: 'False', reason: 'UnapprovedAnnotation', message: `not approved: "${text}"` }];
  if (URL.canParse(text)) return [{ type, status: 'True', reason: 'ApprovedAnnotation', message: `approved in ${text}` }];
  const message = `protected groups must have approval annotation "${approvalAnnotation}" with either a URL or a reason starting with "unapproved", see https://github.com/kubernetes/enhancements/pull/1111`;
  return [{ type, status: 'False', reason: 'InvalidAnnotation', message }];
}

interface Acceptance {
  readonly accepted: V1CustomResourceDefinitionNames;
  readonly conflict: Verdict | undefined;
}

/** Each name is taken as wanted, unless another definition of the group has it; then the one had before stays. */
function acceptNames({ spec, status }: CustomResourceDefinition, others: readonly CustomResourceDefinition[]): Acceptance {
  const taken = others.flatMap(({ status: { acceptedNames } }) => (acceptedNames ? [acceptedNames] : []));
  const resources = new Set(taken.flatMap(({ plural, singular, shortNames }) => [plural, singular ?? '', ...(shortNames ?? [])]));
  const kinds = new Set(taken.flatMap(({ kind, listKind }) => [kind, listKind ?? '']));
  const { names } = spec;
  const had: Partial<V1CustomResourceDefinitionNames> = status.acceptedNames ?? {};
  let conflict: Verdict | undefined;

  const isFree = (name: string, inUse: ReadonlySet<string>, reason: string): boolean => {
    if (name === '' || !inUse.has(name)) return true;
    conflict = { type: 'NamesAccepted', status: 'False', reason, message: `${JSON.stringify(name)} is already in use` };
    return false;
  };
  const one = (wanted: string, old: string, inUse: ReadonlySet<string>, reason: string): string =>
    wanted === old || isFree(wanted, inUse, reason) ? wanted : old;

  const singular = names.singular ?? '';
  const listKind = names.listKind ?? '';
  const shortNames = names.shortNames ?? [];
  // In upstream's order: of several conflicts the last is told.
  const plural = one(names.plural, had.plural ?? '', resources, 'PluralConflict');
  const acceptedSingular = one(singular, had.singular ?? '', resources, 'SingularConflict');
  const freeShortNames = shortNames.filter((name) => had.shortNames?.includes(name) === true || isFree(name, resources, 'ShortNamesConflict'));
  const acceptedShortNames = freeShortNames.length === shortNames.length ? shortNames : (had.shortNames ?? []);
  const kind = one(names.kind, had.kind ?? '', kinds, 'KindConflict');
  const acceptedListKind = one(listKind, had.listKind ?? '', kinds, 'ListKindConflict');
  const accepted: V1CustomResourceDefinitionNames = {
    plural,
    kind,
    ...(acceptedSingular !== '' && { singular: acceptedSingular }),
    ...(acceptedShortNames.length > 0 && { shortNames: acceptedShortNames }),
    ...(acceptedListKind !== '' && { listKind: acceptedListKind }),
    ...(names.categories && names.categories.length > 0 && { categories: names.categories }),
  };
  return { accepted, conflict };
}
