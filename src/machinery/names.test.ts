import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  cIdentifierErrors,
  configMapKeyErrors,
  dns1035LabelErrors,
  dnsLabelErrors,
  dnsSubdomainErrors,
  domainPrefixedPathErrors,
  envVarNameErrors,
  fullyQualifiedNameErrors,
  httpHeaderNameErrors,
  ipErrors,
  labelValueErrors,
  maskTrailingDash,
  pathSegmentErrors,
  pathSegmentPrefixErrors,
  percentErrors,
  portNameErrors,
  portNumberErrors,
  qualifiedNameErrors,
  strictEnvVarNameErrors,
  userIdErrors,
  wildcardSubdomainErrors,
} from './names.ts';

const subdomain =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const label =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const label1035 =
  "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const namePart =
  "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const labelValue =
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const configKey =
  "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
const strictEnv =
  "a valid environment variable name must consist of alphabetic characters, digits, '_', '-', or '.', and must not start with a digit (e.g. 'my.env-name',  or 'MY_ENV.NAME',  or 'MyEnvName1', regex used for validation is '[-._a-zA-Z][-._a-zA-Z0-9]*')";

const cases: readonly [string, (name: string) => string[], readonly (readonly [string, readonly string[]])[]][] = [
  [
    'subdomain',
    dnsSubdomainErrors,
    [
      ['a.b-c.1', []],
      ['', [subdomain]],
      ['A', [subdomain]],
      ['a..b', [subdomain]],
      ['a'.repeat(254), ['must be no more than 253 characters']],
    ],
  ],
  [
    'label',
    dnsLabelErrors,
    [
      ['a-1', []],
      ['C!', [label]],
      ['a.b', ['must not contain dots']],
      ['-a', [label]],
      ['a'.repeat(64), ['must be no more than 63 characters']],
    ],
  ],
  [
    'RFC 1035 label',
    dns1035LabelErrors,
    [
      ['a-1', []],
      ['1a', [label1035]],
      ['', [label1035]],
    ],
  ],
  ['wildcard', wildcardSubdomainErrors, [['*.a.b', []]]],
  [
    'path segment',
    pathSegmentErrors,
    [
      ['system:node', []],
      ['.', ["may not be '.'"]],
      ['..', ["may not be '..'"]],
      ['a/b%', ["may not contain '/'", "may not contain '%'"]],
    ],
  ],
  [
    'path segment prefix',
    pathSegmentPrefixErrors,
    [
      ['.', []],
      ['a%', ["may not contain '%'"]],
    ],
  ],
  [
    'qualified name',
    qualifiedNameErrors,
    [
      ['a', []],
      ['My_name.1', []],
      ['example.com/name', []],
      ['', ['name part must be non-empty', `name part ${namePart}`]],
      ['/a', ['prefix part must be non-empty']],
      ['a/', ['name part must be non-empty', `name part ${namePart}`]],
      ['A/a', [`prefix part ${subdomain}`]],
      ['a/b/c', [`a valid label key ${namePart} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`]],
      ['a'.repeat(64), ['name part must be no more than 63 bytes']],
      [`${'a'.repeat(254)}/b`, ['prefix part must be no more than 253 bytes']],
    ],
  ],
  [
    'label value',
    labelValueErrors,
    [
      ['', []],
      ['a_B.1', []],
      ['a b', [labelValue]],
      ['-', [labelValue]],
    ],
  ],
  [
    'port name',
    portNameErrors,
    [
      ['http', []],
      ['too-long-a-port-name', ['must be no more than 15 characters']],
      ['Not_A', ['must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)']],
      ['123', ['must contain at least one letter (a-z)']],
      ['a--b', ['must not contain consecutive hyphens']],
      ['a-', ['must not begin or end with a hyphen']],
    ],
  ],
  [
    'config map key',
    configMapKeyErrors,
    [
      ['a.B_c-1', []],
      ['a b', [configKey]],
      ['..', ["must not be '..'"]],
      ['.', ["must not be '.'"]],
      ['..a', ["must not start with '..'"]],
    ],
  ],
  [
    'environment variable',
    envVarNameErrors,
    [
      ['A', []],
      ['1 a:b', []],
      ['', ['environment variable name must be non-empty']],
      ['a=b', ["a valid environment variable name must consist only of printable ASCII characters other than '='"]],
      ['é', ["a valid environment variable name must consist only of printable ASCII characters other than '='"]],
    ],
  ],
  [
    'strict environment variable',
    strictEnvVarNameErrors,
    [
      ['my.env-name', []],
      ['1=2', [strictEnv]],
      ['..', ["must not be '..'"]],
    ],
  ],
  ['C identifier', cIdentifierErrors, [['_a1', []]]],
  ['HTTP header', httpHeaderNameErrors, [['X-Header-Name', []]]],
  [
    'percentage',
    percentErrors,
    [
      ['5%', []],
      [
        '5x',
        ["a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')"],
      ],
    ],
  ],
  [
    'IP address',
    ipErrors,
    [
      ['10.0.0.1', []],
      ['1.2.3', ['must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)']],
    ],
  ],
  [
    'fully qualified name',
    fullyQualifiedNameErrors,
    [
      ['a.b.c', []],
      ['a', ['should be a domain with at least three segments separated by dots']],
    ],
  ],
  [
    'domain-prefixed path',
    domainPrefixedPathErrors,
    [
      ['example.com/a/b', []],
      ['nope', ['must be a domain-prefixed path (such as "acme.io/foo")']],
    ],
  ],
];

for (const [rule, errors, names] of cases) {
  describe(rule, () => {
    for (const [name, expected] of names) test(JSON.stringify(name.slice(0, 30)), () => assert.deepEqual(errors(name), expected));
  });
}

test('numbers', () => {
  assert.deepEqual(portNumberErrors(80), []);
  assert.deepEqual(portNumberErrors(0), ['must be between 1 and 65535, inclusive']);
  assert.deepEqual(userIdErrors(0), []);
  assert.deepEqual(userIdErrors(-1), ['must be between 0 and 2147483647, inclusive']);
});

test('the dash a generated suffix follows does not make a prefix invalid', () => {
  assert.equal(maskTrailingDash('web-'), 'wea');
  assert.equal(maskTrailingDash('-'), '-');
  assert.equal(maskTrailingDash('web'), 'web');
});
