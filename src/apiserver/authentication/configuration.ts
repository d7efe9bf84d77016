/**
 * AuthenticationConfiguration (`apiserver.config.k8s.io/v1`): issuers whose ID tokens are taken, how their claims become users, and on which paths a request
 * may come without proof. See https://kubernetes.io/docs/reference/access-authn-authz/authentication/#using-authentication-configuration
 */
import { X509Certificate } from 'node:crypto';
import { CelError } from '../../machinery/cel.ts';
import { readConfiguration, type Section } from '../configuration-file.ts';
import { claimRule, claimText, claimTexts, requiredClaim, textExpression, textsExpression, type ClaimMappings, userRule } from './claim-mappings.ts';
import { signingAlgorithms } from './jwt.ts';
import type { IssuerOptions } from './oidc.ts';

export interface AuthenticationConfiguration {
  readonly issuers: readonly IssuerOptions[];
  /** As the flag says when absent. */
  readonly anonymousAuth?: boolean | readonly string[];
}

/** As upstream. */
const mostIssuers = 64;

/** Reads a configuration file, YAML or JSON. `ownIssuer` signs service account tokens: nobody else may. Throws a `ConfigurationError`. */
export function parseAuthenticationConfiguration(text: string, ownIssuer: string): AuthenticationConfiguration {
  const document = readConfiguration(text, 'AuthenticationConfiguration', ['v1', 'v1beta1']);
  document.allow('apiVersion', 'kind', 'jwt', 'anonymous');
  const sections = document.sections('jwt');
  if (sections.length > mostIssuers) document.fail('jwt', 'Invalid value', `must have at most ${mostIssuers} items`);
  const urls = new Set<string>();
  const discoveryUrls = new Set<string>();
  const issuers = sections.map((section) => {
    const issuer = issuerOf(section);
    const { issuerUrl, discoveryUrl } = issuer;
    if (issuerUrl === ownIssuer)
      section.fail('issuer.url', 'Invalid value', `${JSON.stringify(issuerUrl)}: URL must not overlap with disallowed issuers: [${ownIssuer}]`);
    if (urls.has(issuerUrl)) section.fail('issuer.url', 'Duplicate value', JSON.stringify(issuerUrl));
    urls.add(issuerUrl);
    if (discoveryUrl !== undefined) {
      if (discoveryUrls.has(discoveryUrl)) section.fail('issuer.discoveryURL', 'Duplicate value', JSON.stringify(discoveryUrl));
      discoveryUrls.add(discoveryUrl);
    }
    return issuer;
  });
  return { issuers, ...(document.has('anonymous') && { anonymousAuth: anonymousOf(document.section('anonymous')) }) };
}

function anonymousOf(section: Section): boolean | readonly string[] {
  section.allow('enabled', 'conditions');
  const enabled = section.truth('enabled') ?? section.fail('enabled', 'Required value');
  const paths = section.sections('conditions').map((condition) => {
    condition.allow('path');
    return condition.requiredText('path');
  });
  if (!enabled && paths.length > 0) section.fail('conditions', 'Invalid value', 'enabled should be set to true when conditions are defined');
  return paths.length > 0 ? paths : enabled;
}

function issuerOf(section: Section): IssuerOptions {
  section.allow('issuer', 'claimValidationRules', 'claimMappings', 'userValidationRules');
  const issuer = section.section('issuer');
  issuer.allow('url', 'discoveryURL', 'certificateAuthority', 'audiences', 'audienceMatchPolicy', 'egressSelectorType');
  const issuerUrl = httpsUrl(issuer, 'url', issuer.requiredText('url'));
  const discoveryUrl = issuer.has('discoveryURL') ? httpsUrl(issuer, 'discoveryURL', issuer.text('discoveryURL')) : undefined;
  if (discoveryUrl === issuerUrl)
    issuer.fail('discoveryURL', 'Invalid value', `${JSON.stringify(discoveryUrl)}: discoveryURL must be different from url`);
  const audiences = audiencesOf(issuer);
  const ca = issuer.text('certificateAuthority');
  if (ca !== '') checkCertificates(issuer, ca);
  if (issuer.text('egressSelectorType') !== '') issuer.fail('egressSelectorType', 'Forbidden', 'k8ts has no egress selectors');
  return {
    issuerUrl,
    audiences,
    ...(discoveryUrl !== undefined && { discoveryUrl }),
    ...(ca !== '' && { ca }),
    signingAlgorithms,
    mappings: mappingsOf(section),
  };
}

function httpsUrl(section: Section, field: string, text: string): string {
  const wrong = (words: string): never => section.fail(field, 'Invalid value', `${JSON.stringify(text)}: ${words}`);
  const url = URL.canParse(text) ? new URL(text) : wrong('it is not a URL');
  if (url.protocol !== 'https:') wrong('URL scheme must be https');
  if (url.username !== '' || url.password !== '') wrong('URL must not contain a username or password');
  if (url.search !== '') wrong('URL must not contain a query');
  if (url.hash !== '') wrong('URL must not contain a fragment');
  return text;
}

function audiencesOf(issuer: Section): string[] {
  const audiences = issuer.texts('audiences');
  if (audiences.length === 0) issuer.fail('audiences', 'Required value', 'at least one jwt[*].issuer.audiences is required');
  for (const [index, audience] of audiences.entries()) {
    if (audience === '') issuer.fail(`audiences[${index}]`, 'Required value', 'audience is required');
    if (audiences.indexOf(audience) !== index) issuer.fail(`audiences[${index}]`, 'Duplicate value', JSON.stringify(audience));
  }
  const policy = issuer.oneOf('audienceMatchPolicy', ['MatchAny']);
  if (audiences.length > 1 && policy === undefined) {
    issuer.fail('audienceMatchPolicy', 'Invalid value', '"": audienceMatchPolicy must be MatchAny for multiple audiences');
  }
  return audiences;
}

function checkCertificates(issuer: Section, pem: string): void {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? [];
  try {
    if (blocks.length === 0) throw new Error('data does not contain any valid certificates');
    for (const block of blocks) void new X509Certificate(block);
  } catch (error) {
    issuer.fail('certificateAuthority', 'Invalid value', error instanceof Error ? error.message : String(error));
  }
}

function mappingsOf(section: Section): ClaimMappings {
  const mappings = section.section('claimMappings');
  mappings.allow('username', 'groups', 'uid', 'extra');
  const username = mappings.section('username');
  const keys = new Set<string>();
  const extra = mappings.sections('extra').map((entry) => {
    entry.allow('key', 'valueExpression');
    const key = extraKey(entry);
    if (keys.has(key)) entry.fail('key', 'Duplicate value', JSON.stringify(key));
    keys.add(key);
    return { key, values: compiled(entry, 'valueExpression', () => textsExpression(entry.requiredText('valueExpression'))) };
  });
  const result: ClaimMappings = {
    username: byClaimOrExpression(username, true, claimText, textExpression),
    groups: mappings.has('groups') ? byClaimOrExpression(mappings.section('groups'), true, claimTexts, textsExpression) : () => [],
    uid: mappings.has('uid') ? byClaimOrExpression(mappings.section('uid'), false, claimText, textExpression) : () => '',
    extra,
    claimRules: section.sections('claimValidationRules').map(claimRuleOf),
    userRules: section.sections('userValidationRules').map((rule) => {
      rule.allow('expression', 'message');
      return compiled(rule, 'expression', () => userRule(rule.requiredText('expression'), rule.text('message')));
    }),
  };
  checkEmail(section, username);
  return result;
}

type Maker<T> = (text: string, prefix?: string) => (claims: Readonly<Record<string, unknown>>) => T;

function byClaimOrExpression<T>(section: Section, withPrefix: boolean, ofClaim: Maker<T>, ofExpression: Maker<T>): ReturnType<Maker<T>> {
  section.allow('claim', 'expression', ...(withPrefix ? ['prefix'] : []));
  const claim = section.text('claim');
  const expression = section.text('expression');
  if (claim === '' && expression === '') section.fail('', 'Required value', 'claim or expression is required');
  if (claim !== '' && expression !== '') section.fail('', 'Invalid value', "claim and expression can't both be set");
  if (expression !== '') {
    if (section.has('prefix')) section.fail('prefix', 'Invalid value', "prefix can't be set when expression is set");
    return compiled(section, 'expression', () => ofExpression(expression));
  }
  if (withPrefix && !section.has('prefix')) {
    section.fail('prefix', 'Required value', 'prefix is required when claim is set. It can be set to an empty string to disable prefixing');
  }
  return ofClaim(claim, section.text('prefix'));
}

function claimRuleOf(rule: Section): (claims: Readonly<Record<string, unknown>>) => void {
  rule.allow('claim', 'requiredValue', 'expression', 'message');
  const claim = rule.text('claim');
  const expression = rule.text('expression');
  if (claim === '' && expression === '') rule.fail('', 'Required value', 'claim or expression is required');
  if (claim !== '' && expression !== '') rule.fail('', 'Invalid value', "claim and expression can't both be set");
  if (claim !== '') {
    if (rule.text('message') !== '') rule.fail('message', 'Invalid value', "message can't be set when claim is set");
    return requiredClaim(claim, rule.text('requiredValue'));
  }
  if (rule.text('requiredValue') !== '') rule.fail('requiredValue', 'Invalid value', "requiredValue can't be set when expression is set");
  return compiled(rule, 'expression', () => claimRule(expression, rule.text('message')));
}

function extraKey(entry: Section): string {
  const key = entry.requiredText('key');
  const wrong = (words: string): never => entry.fail('key', 'Invalid value', `${JSON.stringify(key)}: ${words}`);
  const [domain = '', path = ''] = key.split(/\/(.*)/s, 2);
  if (!/^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/.test(domain) || path === '') {
    wrong('must be a domain-prefixed path (such as "acme.io/foo")');
  }
  if (key !== key.toLowerCase()) wrong('key must be lowercase');
  if (/(^|\.)(kubernetes\.io|k8s\.io)$/.test(domain)) wrong('k8s.io, kubernetes.io and their subdomains are reserved for Kubernetes use');
  return key;
}

/** An address that nobody verified must not become a name unseen: who uses `claims.email` has to look at `claims.email_verified` somewhere. */
function checkEmail(section: Section, username: Section): void {
  const uses = (text: string, claim: string): boolean => new RegExp(`claims\\.${claim}\\b(?!_)|claims\\[["']${claim}["']\\]`).test(text);
  const expression = username.text('expression');
  if (!uses(expression, 'email')) return;
  const others = [
    ...section.sections('claimValidationRules').map((rule) => rule.text('expression')),
    ...section
      .section('claimMappings')
      .sections('extra')
      .map((entry) => entry.text('valueExpression')),
  ];
  if ([expression, ...others].some((text) => uses(text, 'email_verified'))) return;
  username.fail(
    'expression',
    'Invalid value',
    `${JSON.stringify(expression)}: claims.email_verified must be used in claimMappings.username.expression or claimMappings.extra[*].valueExpression or claimValidationRules[*].expression when claims.email is used in claimMappings.username.expression`,
  );
}

function compiled<T>(section: Section, field: string, compile: () => T): T {
  try {
    return compile();
  } catch (error) {
    if (!(error instanceof CelError)) throw error;
    return section.fail(field, 'Invalid value', `${JSON.stringify(section.text(field))}: compilation failed: ${error.message}`);
  }
}
