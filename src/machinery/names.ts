/**
 * What may be called what: each function lists what is wrong with a name, in upstream's words (`k8s.io/apimachinery/pkg/util/validation`), and
 * nothing when it is fine. Clients see these texts as the detail of a validation error.
 */
import { isIp, tryParseCidr } from './ip.ts';

const dns1123Label = '[a-z0-9]([-a-z0-9]*[a-z0-9])?';
const dns1123Subdomain = `${dns1123Label}(\\.${dns1123Label})*`;
const dns1035Label = '[a-z]([-a-z0-9]*[a-z0-9])?';
const qualifiedName = '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]';
const labelValue = `(${qualifiedName})?`;
const wildcardSubdomain = `\\*\\.${dns1123Subdomain}`;
const cIdentifier = '[A-Za-z_][A-Za-z0-9_]*';
const strictEnvVarName = '[-._a-zA-Z][-._a-zA-Z0-9]*';
const configMapKey = '[-._a-zA-Z0-9]+';
const httpHeaderName = '[-A-Za-z0-9]+';
const httpPath = "[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+";
const percent = '[0-9]+%';

const whole = (pattern: string): RegExp => new RegExp(`^${pattern}$`);
const dns1123LabelPattern = whole(dns1123Label);
const dns1123SubdomainPattern = whole(dns1123Subdomain);
const dns1035LabelPattern = whole(dns1035Label);
const qualifiedNamePattern = whole(qualifiedName);
const labelValuePattern = whole(labelValue);
const wildcardSubdomainPattern = whole(wildcardSubdomain);
const cIdentifierPattern = whole(cIdentifier);
const strictEnvVarNamePattern = whole(strictEnvVarName);
const configMapKeyPattern = whole(configMapKey);
const httpHeaderNamePattern = whole(httpHeaderName);
const httpPathPattern = whole(httpPath);
const percentPattern = whole(percent);

const empty = 'must be non-empty';

/** Upstream counts bytes everywhere, but says so only in its newer checks: those of label keys and values. */
function tooLong(max: number, unit: 'bytes' | 'characters' = 'characters'): string {
  return `must be no more than ${max} ${unit}`;
}

function mismatch(message: string, pattern: string, ...examples: readonly string[]): string {
  if (examples.length === 0) return `${message} (regex used for validation is '${pattern}')`;
  // Two spaces before each "or": upstream's texts have them.
  return `${message} (e.g. ${examples.map((example) => `'${example}', `).join(' or ')}regex used for validation is '${pattern}')`;
}

function isLongerThan(text: string, maxBytes: number): boolean {
  return text.length > maxBytes || (text.length * 3 > maxBytes && Buffer.byteLength(text) > maxBytes);
}

/** Names of most objects: `my-name.example`, up to 253. */
export function dnsSubdomainErrors(name: string, unit: 'bytes' | 'characters' = 'characters'): string[] {
  const errors: string[] = [];
  if (isLongerThan(name, 253)) errors.push(tooLong(253, unit));
  if (!dns1123SubdomainPattern.test(name)) {
    errors.push(
      mismatch(
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character",
        dns1123Subdomain,
        'example.com',
      ),
    );
  }
  return errors;
}

/** Names of namespaces, containers, volumes: up to 63, no dots. */
export function dnsLabelErrors(name: string): string[] {
  const errors: string[] = [];
  if (isLongerThan(name, 63)) errors.push(tooLong(63));
  if (!dns1123LabelPattern.test(name)) {
    if (dns1123SubdomainPattern.test(name)) errors.push('must not contain dots');
    else {
      errors.push(
        mismatch(
          "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character",
          dns1123Label,
          'my-name',
          '123-abc',
        ),
      );
    }
  }
  return errors;
}

/** Names that begin with a letter, such as a Service's. */
export function dns1035LabelErrors(name: string): string[] {
  const errors: string[] = [];
  if (isLongerThan(name, 63)) errors.push(tooLong(63));
  if (!dns1035LabelPattern.test(name)) {
    errors.push(
      mismatch(
        "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character",
        dns1035Label,
        'my-name',
        'abc-123',
      ),
    );
  }
  return errors;
}

/** Hosts of ingress rules such as `*.example.com`. */
export function wildcardSubdomainErrors(name: string): string[] {
  const errors: string[] = [];
  if (isLongerThan(name, 253)) errors.push(tooLong(253));
  if (!wildcardSubdomainPattern.test(name)) {
    errors.push(
      mismatch(
        "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character",
        wildcardSubdomain,
        '*.example.com',
      ),
    );
  }
  return errors;
}

/** Names that only have to fit into a URL path, such as those of roles. */
export function pathSegmentErrors(name: string): string[] {
  if (name === '.' || name === '..') return [`may not be '${name}'`];
  return ['/', '%'].filter((part) => name.includes(part)).map((part) => `may not contain '${part}'`);
}

/** A prefix of a path segment, as `generateName` of such a kind. */
export function pathSegmentPrefixErrors(name: string): string[] {
  return ['/', '%'].filter((part) => name.includes(part)).map((part) => `may not contain '${part}'`);
}

/** Keys of labels, annotations, taints and extended resources: `name` or `prefix.example/name`. */
export function qualifiedNameErrors(name: string): string[] {
  const errors: string[] = [];
  const parts = name.split('/');
  let local = name;
  if (parts.length === 2) {
    const [prefix = '', rest = ''] = parts;
    local = rest;
    if (prefix === '') errors.push(`prefix part ${empty}`);
    else errors.push(...dnsSubdomainErrors(prefix, 'bytes').map((error) => `prefix part ${error}`));
  } else if (parts.length > 2) {
    return [
      `a valid label key ${mismatch("must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character", qualifiedName, 'MyName', 'my.name', '123-abc')} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`,
    ];
  }
  if (local === '') errors.push(`name part ${empty}`);
  else if (isLongerThan(local, 63)) errors.push(`name part ${tooLong(63, 'bytes')}`);
  if (!qualifiedNamePattern.test(local)) {
    errors.push(
      `name part ${mismatch("must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character", qualifiedName, 'MyName', 'my.name', '123-abc')}`,
    );
  }
  return errors;
}

export function labelValueErrors(value: string): string[] {
  const errors: string[] = [];
  if (isLongerThan(value, 63)) errors.push(tooLong(63, 'bytes'));
  if (!labelValuePattern.test(value)) {
    errors.push(
      mismatch(
        "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
        labelValue,
        'MyValue',
        'my_value',
        '12345',
      ),
    );
  }
  return errors;
}

/** Names of ports (an IANA service name): up to 15, at least one letter. */
export function portNameErrors(name: string): string[] {
  const errors: string[] = [];
  if (name.length > 15) errors.push(tooLong(15));
  if (!/^[-a-z0-9]+$/.test(name)) errors.push('must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)');
  if (!/[a-z]/.test(name)) errors.push('must contain at least one letter (a-z)');
  if (name.includes('--')) errors.push('must not contain consecutive hyphens');
  if (name.startsWith('-') || name.endsWith('-')) errors.push('must not begin or end with a hyphen');
  return errors;
}

export function portNumberErrors(port: number): string[] {
  return port >= 1 && port <= 65535 ? [] : ['must be between 1 and 65535, inclusive'];
}

/** User and group ids. */
export function userIdErrors(id: number): string[] {
  return id >= 0 && id <= 2147483647 ? [] : ['must be between 0 and 2147483647, inclusive'];
}

/** Names of a container's environment variables: any printable ASCII but `=`. */
export function envVarNameErrors(name: string): string[] {
  if (name === '') return [`environment variable name ${empty}`];
  return /^[\x20-\x3c\x3e-\x7e]+$/.test(name)
    ? []
    : ["a valid environment variable name must consist only of printable ASCII characters other than '='"];
}

/** Names that can stand in a shell's environment; what `envFrom` and older rules allow. */
export function strictEnvVarNameErrors(name: string): string[] {
  const errors: string[] = [];
  if (!strictEnvVarNamePattern.test(name)) {
    errors.push(
      mismatch(
        "a valid environment variable name must consist of alphabetic characters, digits, '_', '-', or '.', and must not start with a digit",
        strictEnvVarName,
        'my.env-name',
        'MY_ENV.NAME',
        'MyEnvName1',
      ),
    );
  }
  return [...errors, ...directoryErrors(name)];
}

/** Keys of ConfigMaps and Secrets: they become file names. */
export function configMapKeyErrors(key: string): string[] {
  const errors: string[] = [];
  if (isLongerThan(key, 253)) errors.push(tooLong(253));
  if (!configMapKeyPattern.test(key)) {
    errors.push(
      mismatch("a valid config key must consist of alphanumeric characters, '-', '_' or '.'", configMapKey, 'key.name', 'KEY_NAME', 'key-name'),
    );
  }
  return [...errors, ...directoryErrors(key)];
}

function directoryErrors(name: string): string[] {
  if (name === '.') return ["must not be '.'"];
  if (name === '..') return ["must not be '..'"];
  return name.startsWith('..') ? ["must not start with '..'"] : [];
}

export function cIdentifierErrors(name: string): string[] {
  return cIdentifierPattern.test(name)
    ? []
    : [
        mismatch(
          "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters or '_'",
          cIdentifier,
          'my_name',
          'MY_NAME',
          'MyName',
        ),
      ];
}

export function httpHeaderNameErrors(name: string): string[] {
  return httpHeaderNamePattern.test(name)
    ? []
    : [mismatch("a valid HTTP header must consist of alphanumeric characters or '-'", httpHeaderName, 'X-Header-Name')];
}

export function percentErrors(text: string): string[] {
  return percentPattern.test(text)
    ? []
    : [mismatch("a valid percent string must be a numeric string followed by an ending '%'", percent, '1%', '93%')];
}

export function ipErrors(text: string): string[] {
  return isIp(text) ? [] : ['must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'];
}

export function cidrErrors(text: string): string[] {
  return tryParseCidr(text) === undefined ? ['must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)'] : [];
}

/** At least three segments: names of webhooks. */
export function fullyQualifiedNameErrors(name: string): string[] {
  if (name === '') return ['Required value'];
  const errors = dnsSubdomainErrors(name);
  if (errors.length > 0) return errors;
  return name.split('.').length < 3 ? ['should be a domain with at least three segments separated by dots'] : [];
}

/** `example.com/some/path`: names of signers and conditions. */
export function domainPrefixedPathErrors(text: string): string[] {
  const slash = text.indexOf('/');
  if (slash <= 0 || slash === text.length - 1) return ['must be a domain-prefixed path (such as "acme.io/foo")'];
  const host = dnsSubdomainErrors(text.slice(0, slash));
  if (host.length > 0) return host;
  return httpPathPattern.test(text.slice(slash + 1)) ? [] : [mismatch('Invalid path', httpPath)];
}

/** `generateName` may end in a dash, which the random suffix then follows: what to validate in its place. */
export function maskTrailingDash(prefix: string): string {
  return prefix.length > 1 && prefix.endsWith('-') ? `${prefix.slice(0, -2)}a` : prefix;
}
