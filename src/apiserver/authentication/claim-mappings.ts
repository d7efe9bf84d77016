/**
 * How the claims of an ID token become a user: claims by name with a prefix, or expressions in CEL over `claims`; and the rules a token and the user made of
 * it must hold to. See https://kubernetes.io/docs/reference/access-authn-authz/authentication/#using-authentication-configuration
 */
import { CelError, compileCel } from '../../machinery/cel.ts';
import type { User } from '../request.ts';
import { textsOf } from './jwt.ts';

export type Claims = Readonly<Record<string, unknown>>;

/** The token is good, but not good enough for this server; the message says why. */
export class ClaimError extends Error {
  override readonly name = 'ClaimError';
}

/** Each throws a {@link ClaimError} for claims it cannot work with. */
export interface ClaimMappings {
  readonly username: (claims: Claims) => string;
  readonly groups: (claims: Claims) => readonly string[];
  readonly uid: (claims: Claims) => string;
  readonly extra: readonly { readonly key: string; readonly values: (claims: Claims) => readonly string[] }[];
  /** Throw for a token that does not hold. */
  readonly claimRules: readonly ((claims: Claims) => void)[];
  readonly userRules: readonly ((user: User) => void)[];
}

/** The user the claims name. Throws a {@link ClaimError}. */
export function mappedUser(mappings: ClaimMappings, claims: Claims): User {
  for (const check of mappings.claimRules) check(claims);
  const name = mappings.username(claims);
  if (name === '') throw new ClaimError('the user name is empty');
  const extra: Record<string, readonly string[]> = {};
  for (const { key, values } of mappings.extra) {
    const found = values(claims);
    if (found.length > 0) extra[key] = found;
  }
  const user: User = { name, uid: mappings.uid(claims), groups: mappings.groups(claims), extra };
  for (const check of mappings.userRules) check(user);
  return user;
}

/** A claim that holds a text. An email address that was not verified is nobody's name. */
export function claimText(name: string, prefix = ''): (claims: Claims) => string {
  return (claims) => {
    const claim = claims[name];
    if (typeof claim !== 'string' || claim === '') throw new ClaimError(`the claim ${JSON.stringify(name)} is missing or no text`);
    if (name === 'email' && claims['email_verified'] !== undefined && claims['email_verified'] !== true) throw new ClaimError('email not verified');
    return prefix + claim;
  };
}

/** A claim that holds a text, or a list of them; none when absent. */
export function claimTexts(name: string, prefix = ''): (claims: Claims) => readonly string[] {
  return (claims) => {
    const claim = claims[name];
    const texts = textsOf(claim);
    const isPlain = typeof claim === 'string' || (Array.isArray(claim) && texts.length === claim.length);
    if (claim !== undefined && !isPlain) throw new ClaimError(`the claim ${JSON.stringify(name)} is neither a text nor a list of texts`);
    return texts.map((text) => prefix + text);
  };
}

export function requiredClaim(name: string, value: string): (claims: Claims) => void {
  return (claims) => {
    if (claims[name] !== value) throw new ClaimError(`the claim ${JSON.stringify(name)} is not ${JSON.stringify(value)}`);
  };
}

/** Throws a {@link CelError} for an expression that does not compile. */
export function textExpression(expression: string): (claims: Claims) => string {
  const evaluate = ofClaims(expression);
  return (claims) => {
    const value = evaluate(claims);
    if (typeof value !== 'string') throw new ClaimError(`the expression ${JSON.stringify(expression)} did not answer a text`);
    return value;
  };
}

/** A text or a list of them; an empty text, or null, is none. Throws a {@link CelError} for an expression that does not compile. */
export function textsExpression(expression: string): (claims: Claims) => readonly string[] {
  const evaluate = ofClaims(expression);
  return (claims) => {
    const value = evaluate(claims);
    if (value === '' || value === null || value === undefined) return [];
    const texts = textsOf(value);
    if (typeof value === 'string' || (Array.isArray(value) && texts.length === value.length)) return texts.filter((text) => text !== '');
    throw new ClaimError(`the expression ${JSON.stringify(expression)} answered neither a text nor a list of texts`);
  };
}

/** Throws a {@link CelError} for an expression that does not compile. */
export function claimRule(expression: string, message: string): (claims: Claims) => void {
  const evaluate = ofClaims(expression);
  return (claims) => {
    if (evaluate(claims) !== true) throw new ClaimError(message === '' ? `the validation expression ${JSON.stringify(expression)} failed` : message);
  };
}

/** Throws a {@link CelError} for an expression that does not compile. */
export function userRule(expression: string, message: string): (user: User) => void {
  const program = compileCel(expression, ['user']);
  return ({ name, uid, groups, extra }) => {
    const value = evaluated(() => program({ user: { username: name, uid, groups, extra } }));
    if (value !== true) throw new ClaimError(message === '' ? `the validation expression ${JSON.stringify(expression)} failed` : message);
  };
}

function ofClaims(expression: string): (claims: Claims) => unknown {
  const program = compileCel(expression, ['claims']);
  return (claims) => evaluated(() => program({ claims: celValue(claims) }));
}

function evaluated(evaluate: () => unknown): unknown {
  try {
    return evaluate();
  } catch (error) {
    throw error instanceof CelError ? new ClaimError(error.message) : error;
  }
}

/** JSON's numbers are whole numbers in CEL where they are whole: times and counts are compared with such. */
function celValue(value: unknown): unknown {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : value;
  if (Array.isArray(value)) return value.map(celValue);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, celValue(inner)]));
}
