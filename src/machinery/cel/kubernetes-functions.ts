/**
 * The types Kubernetes adds to CEL: URLs, IP addresses, networks, quantities, semantic versions and named formats. See
 * https://kubernetes.io/docs/reference/using-api/cel/
 */
import { equal } from '../equal.ts';
import { type Cidr, contains, formatCidr, formatIp, type IpAddress, networkOf, parseCidr, parseIp, tryParseCidr, tryParseIp } from '../ip.ts';
import { dns1035LabelErrors, dnsLabelErrors, dnsSubdomainErrors, labelValueErrors, maskTrailingDash, qualifiedNameErrors } from '../names.ts';
import { isQuantity, parseQuantity, type Quantity } from '../quantity.ts';
import { parseTime } from '../time.ts';
import { CelError } from './errors.ts';
import type { Functions } from './overloads.ts';
import { traversal } from './standard.ts';
import { absent, OpaqueValue, Optional } from './values.ts';

const parsing = { cost: (text: number): number => 1 + traversal(text) };

export function addKubernetesFunctions(functions: Functions): void {
  for (const add of [urls, addresses, networks, quantities, versions, formats]) add(functions);
  const escape = (key: string): string => key.replaceAll('~', '~0').replaceAll('/', '~1');
  functions.global('jsonpatch.escapeKey(string): string', escape, { ...parsing, resultSize: (text) => text * 2 });
}

class Url extends OpaqueValue {
  readonly typeName = 'kubernetes.URL';
  readonly url: URL;
  readonly isRelative: boolean;

  constructor(text: string) {
    super();
    this.isRelative = text.startsWith('/');
    // A path alone is a URL too; a place to stand on makes it one here.
    this.url = this.isRelative ? new URL(text, 'http://relative') : new URL(text);
  }

  override equals(other: Url): boolean {
    return this.url.href === other.url.href && this.isRelative === other.isRelative;
  }
}

function isUrl(text: string): boolean {
  return text.startsWith('/') ? URL.canParse(text, 'http://relative') : URL.canParse(text);
}

function urls(functions: Functions): void {
  const part = (get: (url: URL) => string) => (value: Url) => (value.isRelative ? '' : get(value.url));
  functions
    .global('isURL(string): bool', isUrl, parsing)
    .global(
      'url(string): kubernetes.URL',
      (text: string) => {
        if (!isUrl(text)) throw new CelError(`URL parse error during conversion from string: parse ${JSON.stringify(text)}: invalid URI for request`);
        return new Url(text);
      },
      parsing,
    )
    .method(
      'kubernetes.URL.getScheme(): string',
      part((url) => url.protocol.slice(0, -1)),
    )
    .method(
      'kubernetes.URL.getHost(): string',
      part((url) => url.host),
    )
    .method(
      'kubernetes.URL.getHostname(): string',
      part((url) => url.hostname.replace(/^\[(.*)\]$/, '$1')),
    )
    .method(
      'kubernetes.URL.getPort(): string',
      part((url) => url.port),
    )
    .method('kubernetes.URL.getEscapedPath(): string', ({ url }: Url) => url.pathname)
    .method('kubernetes.URL.getQuery(): map<string, list<string>>', ({ url }: Url) =>
      Object.fromEntries([...new Set(url.searchParams.keys())].map((key) => [key, url.searchParams.getAll(key)])),
    );
}

class Address extends OpaqueValue {
  readonly typeName = 'net.IP';
  readonly ip: IpAddress;
  constructor(ip: IpAddress) {
    super();
    this.ip = ip;
  }
  override equals(other: Address): boolean {
    return equal(this.ip.bits, other.ip.bits) && this.ip.family === other.ip.family;
  }
}

class Network extends OpaqueValue {
  readonly typeName = 'net.CIDR';
  readonly cidr: Cidr;
  constructor(cidr: Cidr) {
    super();
    this.cidr = cidr;
  }
  override equals(other: Network): boolean {
    return formatCidr(this.cidr) === formatCidr(other.cidr);
  }
}

function within(network: string): (address: Address) => boolean {
  const cidr = parseCidr(network);
  return ({ ip }) => contains(cidr, ip);
}

function either(v4: string, v6: string): (address: Address) => boolean {
  const inV4 = within(v4);
  const inV6 = within(v6);
  return (address) => (address.ip.family === 4 ? inV4(address) : inV6(address));
}

function addresses(functions: Functions): void {
  const canonical = (text: string): boolean => formatIp(parseIp(text)) === text;
  const isMulticast = either('224.0.0.0/4', 'ff00::/8');
  const isLoopback = either('127.0.0.0/8', '::1/128');
  const isLinkLocal = either('169.254.0.0/16', 'fe80::/10');
  const isUnspecified = either('0.0.0.0/32', '::/128');
  const isBroadcast = within('255.255.255.255/32');
  functions
    .global('isIP(string): bool', (text: string) => tryParseIp(text) !== undefined, parsing)
    .global('ip(string): net.IP', (text: string) => new Address(parsedIp(text)), parsing)
    .global('ip.isCanonical(string): bool', canonical, parsing)
    .method('net.IP.family(): int', ({ ip }: Address) => BigInt(ip.family))
    .method('net.IP.isUnspecified(): bool', isUnspecified)
    .method('net.IP.isLoopback(): bool', isLoopback)
    .method('net.IP.isLinkLocalUnicast(): bool', isLinkLocal)
    .method('net.IP.isLinkLocalMulticast(): bool', either('224.0.0.0/24', 'ff02::/16'))
    .method(
      'net.IP.isGlobalUnicast(): bool',
      (address: Address) =>
        !isMulticast(address) &&
        !isLoopback(address) &&
        !isLinkLocal(address) &&
        !isUnspecified(address) &&
        !(address.ip.family === 4 && isBroadcast(address)),
    )
    .global('string(net.IP): string', ({ ip }: Address) => formatIp(ip), { resultSize: () => 45 });
}

function parsedIp(text: string): IpAddress {
  const ip = tryParseIp(text);
  if (ip === undefined) throw new CelError(`IP Address ${JSON.stringify(text)} parse error during conversion from string: not an IP address`);
  return ip;
}

function networks(functions: Functions): void {
  functions
    .global('isCIDR(string): bool', (text: string) => tryParseCidr(text) !== undefined, parsing)
    .global('cidr(string): net.CIDR', (text: string) => new Network(parsedCidr(text)), parsing)
    .method('net.CIDR.containsIP(string): bool', ({ cidr }: Network, text: string) => contains(cidr, parsedIp(text)))
    .method('net.CIDR.containsIP(net.IP): bool', ({ cidr }: Network, { ip }: Address) => contains(cidr, ip))
    .method('net.CIDR.containsCIDR(string): bool', ({ cidr }: Network, text: string) => containsCidr(cidr, parsedCidr(text)))
    .method('net.CIDR.containsCIDR(net.CIDR): bool', ({ cidr }: Network, other: Network) => containsCidr(cidr, other.cidr))
    .method('net.CIDR.ip(): net.IP', ({ cidr }: Network) => new Address(cidr.address))
    .method('net.CIDR.masked(): net.CIDR', ({ cidr }: Network) => new Network(networkOf(cidr)))
    .method('net.CIDR.prefixLength(): int', ({ cidr }: Network) => BigInt(cidr.prefixLength))
    .global('string(net.CIDR): string', ({ cidr }: Network) => formatCidr(cidr), { resultSize: () => 49 });
}

function parsedCidr(text: string): Cidr {
  const cidr = tryParseCidr(text);
  if (cidr === undefined) throw new CelError(`network address parse error during conversion from string: invalid CIDR address: ${text}`);
  return cidr;
}

function containsCidr(outer: Cidr, inner: Cidr): boolean {
  return outer.address.family === inner.address.family && outer.prefixLength <= inner.prefixLength && contains(outer, inner.address);
}

class QuantityValue extends OpaqueValue {
  readonly typeName = 'kubernetes.Quantity';
  readonly quantity: Quantity;
  constructor(quantity: Quantity) {
    super();
    this.quantity = quantity;
  }
  override equals(other: QuantityValue): boolean {
    return this.quantity.compare(other.quantity) === 0;
  }
}

function quantities(functions: Functions): void {
  type Q = QuantityValue;
  const type = 'kubernetes.Quantity';
  const whole = (value: bigint): Quantity => parseQuantity(String(value));
  functions
    .global('isQuantity(string): bool', (text: string) => isQuantity(text), parsing)
    .global('quantity(string): kubernetes.Quantity', (text: string) => new QuantityValue(parseQuantity(text)), parsing)
    .method(`${type}.sign(): int`, ({ quantity }: Q) => BigInt(quantity.sign()))
    .method(`${type}.isInteger(): bool`, ({ quantity }: Q) => quantity.isInteger())
    .method(`${type}.asInteger(): int`, ({ quantity }: Q) => {
      if (!quantity.isInteger()) throw new CelError('cannot convert value to integer');
      return BigInt(quantity.value());
    })
    .method(`${type}.asApproximateFloat(): double`, ({ quantity }: Q) => quantity.toNumber())
    .method(`${type}.isGreaterThan(${type}): bool`, (a: Q, b: Q) => a.quantity.compare(b.quantity) > 0)
    .method(`${type}.isLessThan(${type}): bool`, (a: Q, b: Q) => a.quantity.compare(b.quantity) < 0)
    .method(`${type}.compareTo(${type}): int`, (a: Q, b: Q) => BigInt(a.quantity.compare(b.quantity)))
    .method(`${type}.add(${type}): ${type}`, (a: Q, b: Q) => new QuantityValue(a.quantity.add(b.quantity)))
    .method(`${type}.add(int): ${type}`, (a: Q, b: bigint) => new QuantityValue(a.quantity.add(whole(b))))
    .method(`${type}.sub(${type}): ${type}`, (a: Q, b: Q) => new QuantityValue(a.quantity.sub(b.quantity)))
    .method(`${type}.sub(int): ${type}`, (a: Q, b: bigint) => new QuantityValue(a.quantity.sub(whole(b))));
}

/** https://semver.org */
class Version extends OpaqueValue {
  readonly typeName = 'kubernetes.Semver';
  readonly numbers: readonly bigint[];
  readonly prerelease: readonly string[];

  constructor(numbers: readonly bigint[], prerelease: readonly string[]) {
    super();
    this.numbers = numbers;
    this.prerelease = prerelease;
  }

  override equals(other: Version): boolean {
    return this.compareWith(other) === 0;
  }

  compareWith(other: Version): number {
    for (const [index, part] of this.numbers.entries()) {
      const theirs = other.numbers[index] ?? 0n;
      if (part !== theirs) return part < theirs ? -1 : 1;
    }
    if (this.prerelease.length === 0 || other.prerelease.length === 0) return other.prerelease.length - this.prerelease.length;
    for (const [index, part] of this.prerelease.entries()) {
      const order = comparePrerelease(part, other.prerelease[index]);
      if (order !== 0) return order;
    }
    return this.prerelease.length - other.prerelease.length;
  }
}

function comparePrerelease(a: string, b: string | undefined): number {
  if (b === undefined) return 1;
  if (a === b) return 0;
  const isNumber = /^\d+$/;
  if (isNumber.test(a) && isNumber.test(b)) return BigInt(a) < BigInt(b) ? -1 : 1;
  if (isNumber.test(a) !== isNumber.test(b)) return isNumber.test(a) ? -1 : 1;
  return a < b ? -1 : 1;
}

const strictVersion =
  /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?(?:\+[0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*)?$/;

/** Forgiving: a leading `v`, missing parts, leading zeros. */
function normalVersion(text: string): string {
  const match = /^v?(\d+)(?:\.(\d+))?(?:\.(\d+))?(.*)$/.exec(text);
  if (!match) return text;
  const [, major = '0', minor = '0', patch = '0', rest = ''] = match;
  return `${BigInt(major)}.${BigInt(minor)}.${BigInt(patch)}${rest}`;
}

function tryVersion(text: string, isForgiving: boolean): Version | undefined {
  const match = strictVersion.exec(isForgiving ? normalVersion(text) : text);
  if (!match) return undefined;
  const [, major = '0', minor = '0', patch = '0', prerelease = ''] = match;
  return new Version([BigInt(major), BigInt(minor), BigInt(patch)], prerelease === '' ? [] : prerelease.split('.'));
}

function parsedVersion(text: string, isForgiving: boolean): Version {
  const version = tryVersion(text, isForgiving);
  if (version === undefined) throw new CelError(`semver parse error during conversion from string: ${JSON.stringify(text)}`);
  return version;
}

function versions(functions: Functions): void {
  const type = 'kubernetes.Semver';
  functions
    .global('isSemver(string): bool', (text: string) => tryVersion(text, false) !== undefined, parsing)
    .global('isSemver(string, bool): bool', (text: string, normalize: boolean) => tryVersion(text, normalize) !== undefined, parsing)
    .global('semver(string): kubernetes.Semver', (text: string) => parsedVersion(text, false), parsing)
    .global('semver(string, bool): kubernetes.Semver', parsedVersion, parsing)
    .method(`${type}.major(): int`, ({ numbers }: Version) => numbers[0])
    .method(`${type}.minor(): int`, ({ numbers }: Version) => numbers[1])
    .method(`${type}.patch(): int`, ({ numbers }: Version) => numbers[2])
    .method(`${type}.isGreaterThan(${type}): bool`, (a: Version, b: Version) => a.compareWith(b) > 0)
    .method(`${type}.isLessThan(${type}): bool`, (a: Version, b: Version) => a.compareWith(b) < 0)
    .method(`${type}.compareTo(${type}): int`, (a: Version, b: Version) => BigInt(Math.sign(a.compareWith(b))));
}

/** A rule texts can be held against: `format.dns1123Label().validate(self)`. */
class NamedFormat extends OpaqueValue {
  readonly typeName = 'kubernetes.NamedFormat';
  readonly check: (text: string) => readonly string[];
  constructor(check: (text: string) => readonly string[]) {
    super();
    this.check = check;
  }
}

function matching(pattern: RegExp, what: string): (text: string) => string[] {
  return (text) => (pattern.test(text) ? [] : [`does not match a ${what}`]);
}

const uuid = /^[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12}$/;
const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

const named: ReadonlyMap<string, (text: string) => readonly string[]> = new Map([
  ['dns1123Label', dnsLabelErrors],
  ['dns1123Subdomain', (text: string) => dnsSubdomainErrors(text)],
  ['dns1035Label', dns1035LabelErrors],
  ['qualifiedName', qualifiedNameErrors],
  ['dns1123LabelPrefix', (text: string) => dnsLabelErrors(maskTrailingDash(text))],
  ['dns1123SubdomainPrefix', (text: string) => dnsSubdomainErrors(maskTrailingDash(text))],
  ['dns1035LabelPrefix', (text: string) => dns1035LabelErrors(maskTrailingDash(text))],
  ['labelValue', labelValueErrors],
  ['uri', (text: string) => (isUrl(text) ? [] : ['invalid URI for request'])],
  ['uuid', matching(uuid, 'UUID')],
  ['byte', matching(base64, 'base64 encoding')],
  ['date', (text: string) => (/^\d{4}-\d{2}-\d{2}$/.test(text) && !Number.isNaN(Date.parse(`${text}T00:00:00Z`)) ? [] : ['invalid date'])],
  ['datetime', (text: string) => (Number.isNaN(parseTime(text)) ? ['invalid datetime'] : [])],
]);

function formats(functions: Functions): void {
  functions
    .method(
      'kubernetes.NamedFormat.validate(string): optional<list<string>>',
      ({ check }: NamedFormat, text: string) => {
        const errors = check(text);
        return errors.length > 0 ? Optional.of(errors) : absent;
      },
      parsing,
    )
    .global('format.named(string): optional<kubernetes.NamedFormat>', (name: string) => {
      const check = named.get(name);
      return check ? Optional.of(new NamedFormat(check)) : absent;
    });
  for (const [name, check] of named) {
    const format = new NamedFormat(check);
    functions.global(`format.${name}(): kubernetes.NamedFormat`, () => format);
  }
}
