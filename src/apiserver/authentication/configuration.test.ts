import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConfigurationError } from '../configuration-file.ts';
import { ClaimError, mappedUser } from './claim-mappings.ts';
import { type AuthenticationConfiguration, parseAuthenticationConfiguration } from './configuration.ts';

const own = 'https://own.example.com';

type Fields = Record<string, unknown>;

const issuer = { url: 'https://issuer.example.com', audiences: ['k8ts'] };
const byClaim = { username: { claim: 'sub', prefix: 'x:' } };

function parse(document: Fields): AuthenticationConfiguration {
  return parseAuthenticationConfiguration(
    JSON.stringify({ apiVersion: 'apiserver.config.k8s.io/v1', kind: 'AuthenticationConfiguration', ...document }),
    own,
  );
}

function one(authenticator: Fields): AuthenticationConfiguration {
  return parse({ jwt: [{ issuer, claimMappings: byClaim, ...authenticator }] });
}

function userBy(authenticator: Fields, claims: Fields): ReturnType<typeof mappedUser> {
  const [found] = one(authenticator).issuers;
  assert.ok(found);
  return mappedUser(found.mappings, claims);
}

test('claims become a user by name and prefix', () => {
  const claimMappings = { username: { claim: 'sub', prefix: '' }, groups: { claim: 'g', prefix: 'p:' }, uid: { claim: 'id' } };
  assert.deepEqual(userBy({ claimMappings }, { sub: 'jo', g: ['a', 'b'], id: '7' }), { name: 'jo', uid: '7', groups: ['p:a', 'p:b'], extra: {} });
  assert.deepEqual(userBy({}, { sub: 'jo' }), { name: 'x:jo', uid: '', groups: [], extra: {} });
});

test('claims become a user by expressions; empty values are none', () => {
  const claimMappings = {
    username: { expression: 'claims.user.name + "@" + claims.org' },
    groups: { expression: 'claims.roles.split(",")' },
    uid: { expression: 'string(claims.number)' },
    extra: [
      { key: 'example.com/a', valueExpression: 'claims.org' },
      { key: 'example.com/none', valueExpression: '""' },
    ],
  };
  const user = userBy({ claimMappings }, { user: { name: 'jo' }, org: 'acme', roles: 'dev,ops', number: 12 });
  assert.deepEqual(user, { name: 'jo@acme', uid: '12', groups: ['dev', 'ops'], extra: { 'example.com/a': ['acme'] } });
});

const refused: Readonly<Record<string, readonly [Fields, Fields, RegExp]>> = {
  'without the claim': [{}, {}, /the claim "sub" is missing/],
  'with an empty name': [{ claimMappings: { username: { expression: 'claims.sub' } } }, { sub: '' }, /the user name is empty/],
  'of a number': [{ claimMappings: { username: { expression: 'claims.sub' } } }, { sub: 3 }, /did not answer a text/],
  'that an expression cannot work with': [{ claimMappings: { username: { expression: 'claims.nobody.name' } } }, { sub: 'x' }, /./],
  'with another value': [{ claimValidationRules: [{ claim: 'hd', requiredValue: 'a' }] }, { sub: 'x', hd: 'b' }, /"hd" is not "a"/],
  'that lasts too long': [
    { claimValidationRules: [{ expression: 'claims.exp - claims.nbf <= 86400', message: 'total token lifetime must not exceed 24 hours' }] },
    { sub: 'x', nbf: 1, exp: 90_000 },
    /total token lifetime must not exceed 24 hours/,
  ],
  'of a reserved user': [
    { claimMappings: { username: { claim: 'sub', prefix: '' } }, userValidationRules: [{ expression: '!user.username.startsWith("system:")' }] },
    { sub: 'system:admin' },
    /the validation expression .* failed/,
  ],
  'of an unverified address': [
    { claimMappings: { username: { claim: 'email', prefix: '' } } },
    { email: 'a@b', email_verified: false },
    /email not verified/,
  ],
};

for (const [name, [authenticator, claims, words]] of Object.entries(refused)) {
  test(`a token ${name} is refused`, () => {
    assert.throws(
      () => userBy(authenticator, claims),
      (error: unknown) => error instanceof ClaimError && words.test(error.message),
    );
  });
}

test('anonymous requests: everywhere, nowhere, or on paths', () => {
  assert.equal(parse({}).anonymousAuth, undefined);
  assert.equal(parse({ anonymous: { enabled: false } }).anonymousAuth, false);
  assert.deepEqual(parse({ anonymous: { enabled: true, conditions: [{ path: '/livez' }] } }).anonymousAuth, ['/livez']);
});

const broken: readonly (readonly [Fields, RegExp])[] = [
  [{ jwts: [] }, /unknown field "jwts"/],
  [{ jwt: [{ issuer, claimMappings: { ...byClaim, name: {} } }] }, /unknown field "jwt\[0\]\.claimMappings\.name"/],
  [
    { jwt: [{ issuer: { ...issuer, url: 'http://x' }, claimMappings: byClaim }] },
    /jwt\[0\]\.issuer\.url: Invalid value: "http:\/\/x": URL scheme must be https/,
  ],
  [{ jwt: [{ issuer: { ...issuer, url: own }, claimMappings: byClaim }] }, /must not overlap with disallowed issuers/],
  [{ jwt: [{ issuer: { ...issuer, discoveryURL: issuer.url }, claimMappings: byClaim }] }, /discoveryURL must be different from url/],
  [{ jwt: [{ issuer: { url: 'https://x' }, claimMappings: byClaim }] }, /jwt\[0\]\.issuer\.audiences: Required value/],
  [
    { jwt: [{ issuer: { ...issuer, audiences: ['a', 'b'] }, claimMappings: byClaim }] },
    /audienceMatchPolicy must be MatchAny for multiple audiences/,
  ],
  [{ jwt: [{ issuer: { ...issuer, certificateAuthority: 'x' }, claimMappings: byClaim }] }, /certificateAuthority: Invalid value/],
  [{ jwt: [{ issuer, claimMappings: { username: {} } }] }, /jwt\[0\]\.claimMappings\.username: Required value: claim or expression is required/],
  [{ jwt: [{ issuer, claimMappings: { username: { claim: 'a' } } }] }, /prefix is required when claim is set/],
  [{ jwt: [{ issuer, claimMappings: { username: { claim: 'a', expression: 'b' } } }] }, /claim and expression can't both be set/],
  [
    { jwt: [{ issuer, claimMappings: { username: { expression: 'claims.' } } }] },
    /jwt\[0\]\.claimMappings\.username\.expression: .*compilation failed/,
  ],
  [{ jwt: [{ issuer, claimMappings: { username: { expression: 'claims.email' } } }] }, /claims\.email_verified must be used/],
  [{ jwt: [{ issuer, claimMappings: { ...byClaim, extra: [{ key: 'kubernetes.io/x', valueExpression: '""' }] } }] }, /reserved for Kubernetes use/],
  [{ jwt: [{ issuer, claimMappings: { ...byClaim, extra: [{ key: 'nodomain', valueExpression: '""' }] } }] }, /must be a domain-prefixed path/],
  [
    {
      jwt: [
        { issuer, claimMappings: byClaim },
        { issuer, claimMappings: byClaim },
      ],
    },
    /jwt\[1\]\.issuer\.url: Duplicate value/,
  ],
  [{ jwt: Array.from({ length: 65 }, () => ({})) }, /must have at most 64 items/],
  [{ anonymous: {} }, /anonymous\.enabled: Required value/],
  [{ anonymous: { enabled: false, conditions: [{ path: '/x' }] } }, /enabled should be set to true when conditions are defined/],
];

for (const [document, words] of broken) {
  test(`a configuration is refused: ${words.source}`, () => {
    assert.throws(
      () => parse(document),
      (error: unknown) => error instanceof ConfigurationError && words.test(error.message),
    );
  });
}
