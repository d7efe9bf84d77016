/**
 * Expressions that ask what the sender of a request may do: `authorizer.group('apps').resource('deployments').check('create').allowed()`. See
 * https://kubernetes.io/docs/reference/using-api/cel/#kubernetes-authorizer-library
 */
import { CelError } from './errors.ts';
import type { Functions } from './overloads.ts';
import { OpaqueValue } from './values.ts';

/** What is asked; '' where the expression says nothing of it. */
export interface AuthorizerQuestion {
  readonly verb: string;
  readonly group: string;
  readonly resource: string;
  readonly subresource: string;
  readonly namespace: string;
  readonly name: string;
  /** Of anything that is no resource. */
  readonly path: string;
  readonly fieldSelector: string;
  readonly labelSelector: string;
  /** Who is asked about instead of the request's sender. */
  readonly serviceAccount: { readonly namespace: string; readonly name: string } | undefined;
}

export interface AuthorizerAnswer {
  readonly allowed: boolean;
  readonly reason: string;
}

/** Throws a `CelPending` when the answer is not there yet. */
export type AskAuthorizer = (question: AuthorizerQuestion) => AuthorizerAnswer;

const prefix = 'kubernetes.authorization.';

const unsaid: AuthorizerQuestion = {
  verb: '',
  group: '',
  resource: '',
  subresource: '',
  namespace: '',
  name: '',
  path: '',
  fieldSelector: '',
  labelSelector: '',
  serviceAccount: undefined,
};

/** A question being put together; its type says what may be added. */
class Question extends OpaqueValue {
  readonly typeName: string;
  readonly ask: AskAuthorizer;
  readonly question: AuthorizerQuestion;

  constructor(type: 'Authorizer' | 'PathCheck' | 'GroupCheck' | 'ResourceCheck', ask: AskAuthorizer, question: AuthorizerQuestion) {
    super();
    this.typeName = prefix + type;
    this.ask = ask;
    this.question = question;
  }

  with(type: 'Authorizer' | 'PathCheck' | 'GroupCheck' | 'ResourceCheck', more: Partial<AuthorizerQuestion>): Question {
    return new Question(type, this.ask, { ...this.question, ...more });
  }
}

class Verdict extends OpaqueValue {
  readonly typeName = `${prefix}Decision`;
  readonly answer: AuthorizerAnswer;

  constructor(answer: AuthorizerAnswer) {
    super();
    this.answer = answer;
  }
}

/** What `authorizer` stands for. */
export function authorizerValue(ask: AskAuthorizer): OpaqueValue {
  return new Question('Authorizer', ask, unsaid);
}

/** What `authorizer.requestResource` stands for. */
export function requestResourceValue(ask: AskAuthorizer, request: Partial<AuthorizerQuestion>): OpaqueValue {
  return new Question('ResourceCheck', ask, { ...unsaid, ...request });
}

/** As upstream prices it: a question may have to go to another server. */
const checkCost = 350_000;

export function addAuthorizerFunctions(functions: Functions): void {
  const question = { cost: () => checkCost };
  const check = (value: Question, verb: string): Verdict => new Verdict(value.ask({ ...value.question, verb }));
  functions
    .method(`${prefix}Authorizer.path(string): ${prefix}PathCheck`, (value: Question, path: string) => {
      if (path === '') throw new CelError('path must not be empty');
      return value.with('PathCheck', { path });
    })
    .method(`${prefix}Authorizer.group(string): ${prefix}GroupCheck`, (value: Question, group: string) => value.with('GroupCheck', { group }))
    .method(`${prefix}Authorizer.serviceAccount(string, string): ${prefix}Authorizer`, (value: Question, namespace: string, name: string) =>
      value.with('Authorizer', { serviceAccount: { namespace, name } }),
    )
    .method(`${prefix}GroupCheck.resource(string): ${prefix}ResourceCheck`, (value: Question, resource: string) =>
      value.with('ResourceCheck', { resource }),
    )
    .method(`${prefix}PathCheck.check(string): ${prefix}Decision`, check, question)
    .method(`${prefix}ResourceCheck.check(string): ${prefix}Decision`, check, question)
    .method(`${prefix}Decision.allowed(): bool`, ({ answer }: Verdict) => answer.allowed)
    .method(`${prefix}Decision.reason(): string`, ({ answer }: Verdict) => answer.reason)
    // An authorizer that fails has no opinion here; what went wrong is in the server's log.
    .method(`${prefix}Decision.errored(): bool`, () => false)
    .method(`${prefix}Decision.error(): string`, () => '');
  for (const part of ['subresource', 'namespace', 'name', 'fieldSelector', 'labelSelector'] as const) {
    functions.method(`${prefix}ResourceCheck.${part}(string): ${prefix}ResourceCheck`, (value: Question, text: string) =>
      value.with('ResourceCheck', { [part]: text }),
    );
  }
}
