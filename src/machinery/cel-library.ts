/** The functions Kubernetes adds to CEL: lists, sets, regular expressions, URLs, IP addresses, networks, quantities and formats. */
import { type Environment, Optional } from '@marcbachmann/cel-js';
import { equal } from './equal.ts';
import { type Cidr, contains, formatCidr, formatIp, type IpAddress, networkOf, parseCidr, parseIp, tryParseCidr, tryParseIp } from './ip.ts';
import { dnsLabelErrors, dnsSubdomainErrors, labelValueErrors, qualifiedNameErrors } from './names.ts';
import { isQuantity, parseQuantity, Quantity } from './quantity.ts';
import { patternOf } from './re2-pattern.ts';

type List = readonly unknown[];

export function registerKubernetesLibrary(environment: Environment): void {
  for (const register of [lists, sets, strings, urls, addresses, quantities, formats]) register(environment);
}

function lists(environment: Environment): void {
  environment
    .registerFunction('list.isSorted(): bool', (list: List) => list.every((item, index) => index === 0 || order(list[index - 1], item) <= 0))
    .registerFunction('list.sum(): dyn', sum)
    .registerFunction('list.min(): dyn', (list: List) => extreme(list, -1))
    .registerFunction('list.max(): dyn', (list: List) => extreme(list, 1))
    .registerFunction('list.indexOf(dyn): int', (list: List, wanted: unknown) => BigInt(list.findIndex((item) => equal(item, wanted))))
    .registerFunction('list.lastIndexOf(dyn): int', (list: List, wanted: unknown) => BigInt(list.findLastIndex((item) => equal(item, wanted))))
    .registerFunction('list.distinct(): list', (list: List) => list.filter((item, index) => !has(list.slice(0, index), item)))
    .registerFunction('list.slice(int, int): list', (list: List, from: bigint, to: bigint) => list.slice(Number(from), Number(to)))
    .registerFunction('list.reverse(): list', (list: List) => list.toReversed())
    .registerFunction('list.flatten(): list', (list: List) => list.flat());
}

function has(list: List, wanted: unknown): boolean {
  return list.some((item) => equal(item, wanted));
}

function order(a: unknown, b: unknown): number {
  if (typeof a !== typeof b) throw new Error('no such overload: values of different types have no order');
  return equal(a, b) ? 0 : (a as string) < (b as string) ? -1 : 1;
}

function sum(list: List): unknown {
  const [first = 0n, ...rest] = list;
  return rest.reduce((total, item) => {
    if (typeof total === 'bigint' && typeof item === 'bigint') return total + item;
    if (typeof total === 'number' && typeof item === 'number') return total + item;
    throw new Error('no such overload: only numbers of one type can be summed up');
  }, first);
}

function extreme(list: List, sign: number): unknown {
  if (list.length === 0) throw new Error(`${sign < 0 ? 'min' : 'max'} called on empty list`);
  return list.reduce((best, item) => (order(item, best) * sign > 0 ? item : best));
}

/** What `sets` stands for, in `sets.contains(…)`. */
class Sets {
  readonly name = 'sets';
}

function sets(environment: Environment): void {
  environment
    .registerType('kubernetes.Sets', { ctor: Sets, fields: {} })
    .registerConstant('sets', 'kubernetes.Sets', new Sets())
    .registerFunction('kubernetes.Sets.contains(list, list): bool', (_: Sets, a: List, b: List) => b.every((item) => has(a, item)))
    .registerFunction('kubernetes.Sets.intersects(list, list): bool', (_: Sets, a: List, b: List) => b.some((item) => has(a, item)))
    .registerFunction(
      'kubernetes.Sets.equivalent(list, list): bool',
      (_: Sets, a: List, b: List) => a.every((item) => has(b, item)) && b.every((item) => has(a, item)),
    );
}

function strings(environment: Environment): void {
  environment
    .registerFunction('string.charAt(int): string', (text: string, index: bigint) => Array.from(text)[Number(index)] ?? '')
    .registerFunction('string.replace(string, string): string', (text: string, from: string, to: string) => text.replaceAll(from, () => to))
    .registerFunction('string.replace(string, string, int): string', replaceSome)
    .registerFunction('string.reverse(): string', (text: string) => Array.from(text).toReversed().join(''))
    .registerFunction('string.find(string): string', (text: string, pattern: string) => patternOf(pattern).exec(text)?.[0] ?? '')
    .registerFunction('string.findAll(string): list<string>', (text: string, pattern: string) => findAll(text, pattern))
    .registerFunction('string.findAll(string, int): list<string>', (text: string, pattern: string, limit: bigint) => {
      const found = findAll(text, pattern);
      return limit < 0n ? found : found.slice(0, Number(limit));
    })
    .registerFunction('string.format(list): string', format);
}

function replaceSome(text: string, from: string, to: string, limit: bigint): string {
  const parts = text.split(from);
  const replaced = limit < 0n ? parts.length - 1 : Math.min(Number(limit), parts.length - 1);
  return [parts.slice(0, replaced + 1).join(to), ...parts.slice(replaced + 1)].join(from);
}

function findAll(text: string, pattern: string): string[] {
  const { source, flags } = patternOf(pattern);
  return [...text.matchAll(new RegExp(source, `${flags}g`))].map(([match]) => match);
}

function format(template: string, values: List): string {
  let next = 0;
  return template.replaceAll(/%(?:\.(\d+))?([sdfebxXo%])/g, (_, precision: string | undefined, verb: string) => {
    if (verb === '%') return '%';
    if (next >= values.length) throw new Error(`index ${next} out of range`);
    const value = values[next++];
    switch (verb) {
      case 's':
        return textOf(value);
      case 'd':
        return String(value);
      case 'f':
        return Number(value).toFixed(precision === undefined ? 6 : Number(precision));
      case 'e':
        return Number(value).toExponential(precision === undefined ? 6 : Number(precision));
      default:
        return whole(value).toString(verb === 'b' ? 2 : verb === 'o' ? 8 : 16);
    }
  });
}

function whole(value: unknown): bigint {
  if (typeof value === 'bigint') return value;
  if (typeof value === 'boolean') return value ? 1n : 0n;
  throw new Error('no such overload: only whole numbers have digits');
}

function textOf(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(textOf).join(', ')}]`;
  if (value instanceof Date) return value.toISOString().replace('.000Z', 'Z');
  if (typeof value === 'object' && value !== null) {
    return `{${Object.entries(value)
      .map(([key, item]) => `${key}: ${textOf(item)}`)
      .sort()
      .join(', ')}}`;
  }
  return String(value);
}

function urls(environment: Environment): void {
  environment
    .registerType('kubernetes.URL', { ctor: URL, fields: {} })
    .registerFunction('isURL(string): bool', (text: string) => text.startsWith('/') || URL.canParse(text))
    .registerFunction('url(string): kubernetes.URL', (text: string) => {
      if (!URL.canParse(text)) throw new Error(`URL parse error during conversion from string: ${JSON.stringify(text)}`);
      return new URL(text);
    })
    .registerFunction('kubernetes.URL.getScheme(): string', (url: URL) => url.protocol.slice(0, -1))
    .registerFunction('kubernetes.URL.getHost(): string', (url: URL) => url.host)
    .registerFunction('kubernetes.URL.getHostname(): string', (url: URL) => url.hostname)
    .registerFunction('kubernetes.URL.getPort(): string', (url: URL) => url.port)
    .registerFunction('kubernetes.URL.getEscapedPath(): string', (url: URL) => url.pathname);
}

class Address {
  readonly ip: IpAddress;
  constructor(ip: IpAddress) {
    this.ip = ip;
  }
}

class Network {
  readonly cidr: Cidr;
  constructor(cidr: Cidr) {
    this.cidr = cidr;
  }
}

function addresses(environment: Environment): void {
  environment
    .registerType('net.IP', { ctor: Address, fields: {} })
    .registerType('net.CIDR', { ctor: Network, fields: {} })
    .registerFunction('isIP(string): bool', (text: string) => tryParseIp(text) !== undefined)
    .registerFunction('ip(string): net.IP', (text: string) => new Address(parseIp(text)))
    .registerFunction('net.IP.family(): int', ({ ip }: Address) => BigInt(ip.family))
    .registerFunction('string(net.IP): string', ({ ip }: Address) => formatIp(ip))
    .registerFunction('isCIDR(string): bool', (text: string) => tryParseCidr(text) !== undefined)
    .registerFunction('cidr(string): net.CIDR', (text: string) => new Network(parseCidr(text)))
    .registerFunction('net.CIDR.containsIP(string): bool', ({ cidr }: Network, text: string) => contains(cidr, parseIp(text)))
    .registerFunction('net.CIDR.containsIP(net.IP): bool', ({ cidr }: Network, { ip }: Address) => contains(cidr, ip))
    .registerFunction('net.CIDR.containsCIDR(string): bool', ({ cidr }: Network, text: string) => containsCidr(cidr, parseCidr(text)))
    .registerFunction('net.CIDR.containsCIDR(net.CIDR): bool', ({ cidr }: Network, other: Network) => containsCidr(cidr, other.cidr))
    .registerFunction('net.CIDR.ip(): net.IP', ({ cidr }: Network) => new Address(cidr.address))
    .registerFunction('net.CIDR.masked(): net.CIDR', ({ cidr }: Network) => new Network(networkOf(cidr)))
    .registerFunction('net.CIDR.prefixLength(): int', ({ cidr }: Network) => BigInt(cidr.prefixLength))
    .registerFunction('string(net.CIDR): string', ({ cidr }: Network) => formatCidr(cidr));
}

function containsCidr(outer: Cidr, inner: Cidr): boolean {
  return outer.address.family === inner.address.family && outer.prefixLength <= inner.prefixLength && contains(outer, inner.address);
}

function quantities(environment: Environment): void {
  environment
    .registerType('kubernetes.Quantity', { ctor: Quantity, fields: {} })
    .registerFunction('isQuantity(string): bool', (text: string) => isQuantity(text))
    .registerFunction('quantity(string): kubernetes.Quantity', (text: string) => parseQuantity(text))
    .registerFunction('kubernetes.Quantity.sign(): int', (quantity: Quantity) => BigInt(quantity.sign()))
    .registerFunction('kubernetes.Quantity.isInteger(): bool', (quantity: Quantity) => quantity.isInteger())
    .registerFunction('kubernetes.Quantity.asInteger(): int', (quantity: Quantity) => BigInt(quantity.value()))
    .registerFunction('kubernetes.Quantity.asApproximateFloat(): double', (quantity: Quantity) => quantity.toNumber())
    .registerFunction('kubernetes.Quantity.isGreaterThan(kubernetes.Quantity): bool', (a: Quantity, b: Quantity) => a.compare(b) > 0)
    .registerFunction('kubernetes.Quantity.isLessThan(kubernetes.Quantity): bool', (a: Quantity, b: Quantity) => a.compare(b) < 0)
    .registerFunction('kubernetes.Quantity.compareTo(kubernetes.Quantity): int', (a: Quantity, b: Quantity) => BigInt(a.compare(b)))
    .registerFunction('kubernetes.Quantity.add(kubernetes.Quantity): kubernetes.Quantity', (a: Quantity, b: Quantity) => a.add(b))
    .registerFunction('kubernetes.Quantity.add(int): kubernetes.Quantity', (a: Quantity, b: bigint) => a.add(parseQuantity(String(b))))
    .registerFunction('kubernetes.Quantity.sub(kubernetes.Quantity): kubernetes.Quantity', (a: Quantity, b: Quantity) => a.sub(b))
    .registerFunction('kubernetes.Quantity.sub(int): kubernetes.Quantity', (a: Quantity, b: bigint) => a.sub(parseQuantity(String(b))));
}

/** A rule texts can be held against: `format.dns1123Label().validate(self)`. */
class NamedFormat {
  readonly check: (text: string) => readonly string[];
  constructor(check: (text: string) => readonly string[]) {
    this.check = check;
  }
}

/** What `format` stands for, in `format.labelValue()`. */
class Formats {
  readonly name = 'format';
}

function formats(environment: Environment): void {
  const named: Readonly<Record<string, (text: string) => readonly string[]>> = {
    dns1123Label: dnsLabelErrors,
    dns1123Subdomain: dnsSubdomainErrors,
    labelValue: labelValueErrors,
    qualifiedName: qualifiedNameErrors,
  };
  environment
    .registerType('kubernetes.NamedFormat', { ctor: NamedFormat, fields: {} })
    .registerType('kubernetes.Formats', { ctor: Formats, fields: {} })
    .registerConstant('format', 'kubernetes.Formats', new Formats())
    .registerFunction('kubernetes.NamedFormat.validate(string): optional<list<string>>', ({ check }: NamedFormat, text: string) => {
      const errors = check(text);
      return errors.length > 0 ? Optional.of(errors) : Optional.none();
    });
  for (const [name, check] of Object.entries(named)) {
    environment.registerFunction(`kubernetes.Formats.${name}(): kubernetes.NamedFormat`, () => new NamedFormat(check));
  }
}
