/**
 * Rules in a custom resource's schema (`x-kubernetes-validations`), judged when the definition is written: they compile against the schema's types, old values
 * can be found where rules speak of them, and what they may cost is bounded.
 */
import { CelError, celLimits, compileExpression, type CelExpression, type Environment } from '../machinery/cel.ts';
import { maxRequestBytes } from '../machinery/cel/cost.ts';
import { at, type FieldError, forbiddenField, invalidValue, notSupported, required } from '../machinery/field-error.ts';
import { isSchema, leastBytes, ruleEnvironment } from './rule-types.ts';
import type { V1JSONSchemaProps, V1ValidationRule } from './types.ts';

/** Where a rule is: what holds for all values its schema judges. */
interface Place {
  readonly field: string;
  readonly schema: V1JSONSchemaProps;
  readonly isRoot: boolean;
  /** How many values there may be in one object; undefined where nothing bounds it. */
  readonly values: number | undefined;
  /** From here on, what a value was before cannot be told. */
  readonly uncorrelatable: string | undefined;
}

interface RuleCost {
  readonly field: string;
  readonly cost: number;
}

export function ruleErrors(field: string, root: V1JSONSchemaProps): FieldError[] {
  const errors: FieldError[] = [];
  const costs: RuleCost[] = [];
  visit({ field, schema: root, isRoot: true, values: 1, uncorrelatable: undefined }, errors, costs);
  const total = costs.reduce((sum, { cost }) => sum + cost, 0);
  if (total <= celLimits.schemaEstimate) return errors;
  // As upstream: the ones that cost most are named first, and not all of them.
  const worst = costs.toSorted((a, b) => b.cost - a.cost).slice(0, maxNamed);
  for (const rule of worst) {
    if (rule.cost > celLimits.schemaEstimate / 100) {
      errors.push(forbiddenField(rule.field, 'contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema'));
    }
  }
  const what = 'x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema';
  errors.push(forbiddenField(field, excessText(what, total, celLimits.schemaEstimate)));
  return errors;
}

const maxNamed = 4;

function visit(place: Place, errors: FieldError[], costs: RuleCost[]): void {
  const { schema, field } = place;
  for (const [index, rule] of (schema['x-kubernetes-validations'] ?? []).entries()) {
    errors.push(...judge(rule, at(`${field}.x-kubernetes-validations`, index), place, costs));
  }
  const atomic = schema['x-kubernetes-map-type'] === 'atomic' ? (place.uncorrelatable ?? field) : place.uncorrelatable;
  const inner = { isRoot: false, values: place.values, uncorrelatable: atomic };
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    visit({ ...inner, field: at(`${field}.properties`, name), schema: property }, errors, costs);
  }
  if (isSchema(schema.additionalProperties)) {
    const values = product(place.values, schema.maxProperties);
    visit({ ...inner, field: `${field}.additionalProperties`, schema: schema.additionalProperties, values }, errors, costs);
  }
  if (isSchema(schema.items)) {
    const uncorrelatable = schema['x-kubernetes-list-type'] === 'map' ? place.uncorrelatable : (place.uncorrelatable ?? field);
    const values = product(place.values, schema.maxItems);
    visit({ isRoot: false, field: `${field}.items`, schema: schema.items, values, uncorrelatable }, errors, costs);
  }
}

function product(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? undefined : a * b;
}

const reasons = ['FieldValueRequired', 'FieldValueForbidden', 'FieldValueInvalid', 'FieldValueDuplicate'];

function judge(rule: V1ValidationRule, field: string, place: Place, costs: RuleCost[]): FieldError[] {
  if (rule.rule.trim() === '') return [required(`${field}.rule`, 'rule is not specified')];
  const environment = ruleEnvironment(place.schema, place.isRoot, rule.optionalOldSelf === true);
  const errors = [...wordingErrors(rule, field), ...pathErrors(rule, field, place.schema)];
  const condition = compiled(rule.rule, environment, `${field}.rule`, errors);
  if (condition) {
    if (condition.type.kind !== 'bool' && condition.type.kind !== 'dyn') {
      errors.push(invalidValue(`${field}.rule`, rule.rule, 'cel expression must evaluate to a bool'));
    }
    errors.push(...oldValueErrors(rule, condition, field, place));
    errors.push(...costErrors(condition, 'estimated rule cost', `${field}.rule`, place, costs));
  }
  const { messageExpression } = rule;
  if (messageExpression === undefined || messageExpression === '') return errors;
  const message = compiled(messageExpression, environment, `${field}.messageExpression`, errors);
  if (message) {
    if (message.type.kind !== 'string' && message.type.kind !== 'dyn') {
      errors.push(invalidValue(`${field}.messageExpression`, messageExpression, 'messageExpression must evaluate to a string'));
    }
    errors.push(...costErrors(message, 'estimated messageExpression cost', `${field}.messageExpression`, place, costs));
  }
  return errors;
}

function wordingErrors({ rule, message, reason }: V1ValidationRule, field: string): FieldError[] {
  const errors: FieldError[] = [];
  if (message !== undefined && message !== '' && message.trim() === '') {
    errors.push(invalidValue(`${field}.message`, message, 'message must be non-empty if specified'));
  } else if (message?.trim().includes('\n') === true) {
    errors.push(invalidValue(`${field}.message`, message, 'message must not contain line breaks'));
  } else if (rule.trim().includes('\n') && (message ?? '').trim() === '') {
    errors.push(required(`${field}.message`, 'message must be specified if rule contains line breaks'));
  }
  if (reason !== undefined && !reasons.includes(reason)) errors.push(notSupported(`${field}.reason`, reason, reasons));
  return errors;
}

/** `.spec.ports['a b']`, along the schema. */
function pathErrors({ fieldPath }: V1ValidationRule, field: string, schema: V1JSONSchemaProps): FieldError[] {
  if (fieldPath === undefined || fieldPath === '') return [];
  const error = (why: string): FieldError[] => [invalidValue(`${field}.fieldPath`, fieldPath, `fieldPath must be a valid path: ${why}`)];
  if (!/^[.[]/.test(fieldPath)) return error('expected a path that starts with . or [');
  if (fieldPath.includes('\n')) return error('must not contain line breaks');
  const step = /\.([A-Za-z_$][\w$-]*)|\['((?:[^'\\]|\\.)*)'\]/y;
  let inner: V1JSONSchemaProps | undefined = schema;
  while (step.lastIndex < fieldPath.length) {
    const match = step.exec(fieldPath);
    if (!match) return error("expected .name or ['name']");
    const name: string = match[1] ?? (match[2] ?? '').replaceAll(/\\(.)/g, '$1');
    const properties: Readonly<Record<string, V1JSONSchemaProps>> = inner.properties ?? {};
    const next: V1JSONSchemaProps | undefined = Object.hasOwn(properties, name)
      ? properties[name]
      : isSchema(inner.additionalProperties)
        ? inner.additionalProperties
        : undefined;
    if (next === undefined) return error('does not refer to a valid field');
    inner = next;
  }
  return [];
}

function oldValueErrors(rule: V1ValidationRule, condition: CelExpression, field: string, { uncorrelatable }: Place): FieldError[] {
  const speaksOfOld = condition.mentions('oldSelf');
  if (speaksOfOld && uncorrelatable !== undefined) {
    const why = `oldSelf cannot be used on the uncorrelatable portion of the schema within ${uncorrelatable}`;
    return [invalidValue(`${field}.rule`, rule.rule, why)];
  }
  if (!speaksOfOld && rule.optionalOldSelf !== undefined) {
    return [invalidValue(`${field}.optionalOldSelf`, rule.optionalOldSelf, 'may not be set if oldSelf is not used in rule')];
  }
  return [];
}

function compiled(text: string, environment: Environment, field: string, errors: FieldError[]): CelExpression | undefined {
  try {
    return compileExpression(text, environment);
  } catch (error) {
    if (!(error instanceof CelError)) throw error;
    errors.push(invalidValue(field, text, `compilation failed: ${error.message}`));
    return undefined;
  }
}

function costErrors(expression: CelExpression, what: string, field: string, { schema, values }: Place, costs: RuleCost[]): FieldError[] {
  const most = values ?? Math.floor(maxRequestBytes / (leastBytes(schema) + 1));
  const cost = expression.estimatedCost() * most;
  costs.push({ field, cost });
  return cost > celLimits.ruleEstimate ? [forbiddenField(field, excessText(what, cost, celLimits.ruleEstimate))] : [];
}

function excessText(what: string, cost: number, limit: number): string {
  const factor = cost / limit;
  const shown = factor > 100 ? 'more than 100x' : factor < 1.5 ? `${factor.toFixed(6)}x` : `${factor.toFixed(1)}x`;
  const advice = 'try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared';
  return `${what} exceeds budget by factor of ${shown} (${advice})`;
}
