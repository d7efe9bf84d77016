/**
 * Amounts of resources: `100m`, `1.5Gi`, `2e3`. Exact fixed-point arithmetic down to a billionth, printed in the canonical form of upstream's
 * `resource.Quantity`: no fraction, the largest suffix that loses nothing, the family of suffixes the value was written in.
 * https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
 */

/** The family of suffixes a quantity is printed with. */
export type QuantityFormat = 'DecimalSI' | 'BinarySI' | 'DecimalExponent';

export class QuantityError extends Error {
  override readonly name = 'QuantityError';
}

const formatWrong = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
const suffixWrong = "unable to parse quantity's suffix";

const decimalExponents: Readonly<Record<string, number>> = { n: -9, u: -6, m: -3, '': 0, k: 3, M: 6, G: 9, T: 12, P: 15, E: 18 };
const decimalSuffixes: ReadonlyMap<number, string> = new Map(Object.entries(decimalExponents).map(([suffix, exponent]) => [exponent, suffix]));
const binarySuffixes = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'] as const;

const nanosPerUnit = 1_000_000_000n;
const nanosPerMilli = 1_000_000n;
const maxBinaryNanos = (2n ** 63n - 1n) * nanosPerUnit;
/** Exponents beyond this are refused: no resource has 10^300 of anything, and the number must stay printable. */
const maxExponent = 300;

/** An immutable amount. Whole thousandths up to 2^53 are kept as a plain number, which is nearly all that occurs; the rest as a bigint of billionths. */
export class Quantity {
  static readonly zero: Quantity = new Quantity(0, undefined, 'DecimalSI', '0');

  readonly format: QuantityFormat;
  private readonly milli: number;
  private readonly big: bigint | undefined;
  private text: string | undefined;

  private constructor(milli: number, big: bigint | undefined, format: QuantityFormat, text?: string) {
    this.milli = milli;
    this.big = big;
    this.format = format;
    this.text = text;
  }

  /** `units` must be an integer. */
  static of(units: number, format: QuantityFormat = 'DecimalSI'): Quantity {
    const milli = units * 1000;
    return Number.isSafeInteger(milli) ? new Quantity(milli, undefined, format) : Quantity.ofNanos(BigInt(units) * nanosPerUnit, format);
  }

  /** `thousandths` must be an integer. */
  static ofMilli(thousandths: number, format: QuantityFormat = 'DecimalSI'): Quantity {
    return Number.isSafeInteger(thousandths)
      ? new Quantity(thousandths, undefined, format)
      : Quantity.ofNanos(BigInt(thousandths) * nanosPerMilli, format);
  }

  static ofNanos(billionths: bigint, format: QuantityFormat = 'DecimalSI', text?: string): Quantity {
    if (billionths % nanosPerMilli === 0n) {
      const milli = Number(billionths / nanosPerMilli);
      if (Number.isSafeInteger(milli)) return new Quantity(milli, undefined, format, text);
    }
    return new Quantity(0, billionths, format, text);
  }

  /** As a floating point number: may lose precision beyond 2^53. */
  toNumber(): number {
    if (this.big === undefined) return this.milli / 1000;
    const whole = this.big / nanosPerUnit;
    return Number(whole) + Number(this.big - whole * nanosPerUnit) / 1e9;
  }

  /** Whole units, rounded away from zero. */
  value(): number {
    if (this.big !== undefined) return Number(divideAwayFromZero(this.big, nanosPerUnit));
    const units = this.milli / 1000;
    return units < 0 ? -Math.ceil(-units) : Math.ceil(units);
  }

  /** Thousandths, rounded away from zero. */
  milliValue(): number {
    return this.big === undefined ? this.milli : Number(divideAwayFromZero(this.big, nanosPerMilli));
  }

  nanoValue(): bigint {
    return this.big ?? BigInt(this.milli) * nanosPerMilli;
  }

  /** The sum keeps this one's format, unless this is zero. */
  add(other: Quantity): Quantity {
    const format = this.isZero() ? other.format : this.format;
    if (this.big === undefined && other.big === undefined) return Quantity.ofMilliSum(this.milli, other.milli, format);
    return Quantity.ofNanos(this.nanoValue() + other.nanoValue(), format);
  }

  sub(other: Quantity): Quantity {
    const format = this.isZero() ? other.format : this.format;
    if (this.big === undefined && other.big === undefined) return Quantity.ofMilliSum(this.milli, -other.milli, format);
    return Quantity.ofNanos(this.nanoValue() - other.nanoValue(), format);
  }

  negate(): Quantity {
    return this.big === undefined ? new Quantity(0 - this.milli, undefined, this.format) : Quantity.ofNanos(-this.big, this.format);
  }

  /** Negative, zero or positive as this is less than, equal to or more than `other`. */
  compare(other: Quantity): number {
    if (this.big === undefined && other.big === undefined) return this.milli - other.milli;
    const a = this.nanoValue();
    const b = other.nanoValue();
    return a < b ? -1 : a > b ? 1 : 0;
  }

  sign(): number {
    return this.big === undefined ? Math.sign(this.milli) : this.big < 0n ? -1 : 1;
  }

  isZero(): boolean {
    return this.big === undefined && this.milli === 0;
  }

  isInteger(): boolean {
    return this.big === undefined ? this.milli % 1000 === 0 : this.big % nanosPerUnit === 0n;
  }

  toString(): string {
    return (this.text ??= canonical(this.nanoValue(), this.format));
  }

  toJSON(): string {
    return this.toString();
  }

  private static ofMilliSum(a: number, b: number, format: QuantityFormat): Quantity {
    const milli = a + b;
    return Number.isSafeInteger(milli) ? new Quantity(milli, undefined, format) : Quantity.ofNanos((BigInt(a) + BigInt(b)) * nanosPerMilli, format);
  }
}

/** The same few amounts are parsed over and over (`100m`, `128Mi`); quantities are immutable, so they are remembered, up to a bound. */
const remembered = new Map<string, Quantity>();
const rememberedMax = 4096;

/** Throws {@link QuantityError} in upstream's words. */
export function parseQuantity(text: string | number): Quantity {
  const source = typeof text === 'number' ? String(text) : text;
  const known = remembered.get(source);
  if (known !== undefined) return known;
  const quantity = parse(source);
  if (remembered.size >= rememberedMax) remembered.clear();
  remembered.set(source, quantity);
  return quantity;
}

/** True when {@link parseQuantity} would not throw. */
export function isQuantity(text: string | number): boolean {
  try {
    parseQuantity(text);
    return true;
  } catch {
    return false;
  }
}

const grammar = /^([+-]?)(\d*)(?:\.(\d*))?([eEinumkKMGTP]*[-+]?\d*)$/;

function parse(text: string): Quantity {
  const match = grammar.exec(text);
  if (match === null) throw new QuantityError(formatWrong);
  const [, sign, leading = '', fraction = '', suffix = ''] = match;
  if (leading === '' && fraction === '') throw new QuantityError(formatWrong);
  const whole = leading.replace(/^0+/, '') || '0';
  const { format, exponent } = interpretSuffix(suffix);

  const digits = BigInt(whole + fraction);
  if (digits === 0n) return Quantity.zero;
  let nanos: bigint;
  if (format === 'BinarySI') {
    nanos = divideAwayFromZero(digits * 2n ** BigInt(exponent) * nanosPerUnit, 10n ** BigInt(fraction.length));
    if (nanos > maxBinaryNanos) nanos = maxBinaryNanos;
  } else {
    const scale = exponent - fraction.length + 9;
    nanos = scale >= 0 ? digits * 10n ** BigInt(scale) : divideAwayFromZero(digits, 10n ** BigInt(-scale));
  }
  const printed = format === 'BinarySI' && nanos < nanosPerUnit ? 'DecimalSI' : format;
  const kept = isKeptAsWritten(format, whole, fraction, exponent) ? text : undefined;
  return Quantity.ofNanos(sign === '-' ? -nanos : nanos, printed, kept);
}

function interpretSuffix(suffix: string): { format: QuantityFormat; exponent: number } {
  const decimal = Object.hasOwn(decimalExponents, suffix) ? decimalExponents[suffix] : undefined;
  if (decimal !== undefined) return { format: 'DecimalSI', exponent: decimal };
  const power = (binarySuffixes as readonly string[]).indexOf(suffix);
  if (power > 0) return { format: 'BinarySI', exponent: power * 10 };
  if (!/^[eE][-+]?\d+$/.test(suffix)) throw new QuantityError(suffixWrong);
  const exponent = Number(suffix.slice(1));
  if (Math.abs(exponent) > maxExponent) throw new QuantityError(suffixWrong);
  return { format: 'DecimalExponent', exponent };
}

/** Upstream gives back short numbers as they were written when a quick look finds no smaller form, so `1.500` stays `1.500`; clients see that in diffs. */
function isKeptAsWritten(format: QuantityFormat, whole: string, fraction: string, exponent: number): boolean {
  if (format === 'BinarySI') {
    const precision = 15 - whole.length - Math.trunc((exponent * 3) / 10) - 1;
    return fraction === '' && precision >= 0 && (Number(whole) & 7) !== 0;
  }
  const digits = whole + fraction;
  const scale = exponent - fraction.length;
  return digits.length <= 18 && scale >= -9 && scale % 3 === 0 && !digits.endsWith('000') && !digits.startsWith('0');
}

function canonical(nanos: bigint, format: QuantityFormat): string {
  if (nanos === 0n) return '0';
  if (format === 'BinarySI') {
    const units = nanos / nanosPerUnit;
    const large = units <= -1024n || units >= 1024n;
    if (large && units * nanosPerUnit === nanos) return binaryForm(units);
  }
  let mantissa = nanos;
  let exponent = -9;
  while (mantissa % 1000n === 0n) {
    mantissa /= 1000n;
    exponent += 3;
  }
  const suffix = format === 'DecimalExponent' ? undefined : decimalSuffixes.get(exponent);
  if (suffix !== undefined) return `${mantissa}${suffix}`;
  return exponent === 0 ? String(mantissa) : `${mantissa}e${exponent}`;
}

function binaryForm(units: bigint): string {
  let mantissa = units;
  let power = 0;
  while (mantissa % 1024n === 0n && power < binarySuffixes.length - 1) {
    mantissa /= 1024n;
    power++;
  }
  return `${mantissa}${binarySuffixes[power]}`;
}

function divideAwayFromZero(value: bigint, divisor: bigint): bigint {
  const quotient = value / divisor;
  if (quotient * divisor === value) return quotient;
  return value < 0n ? quotient - 1n : quotient + 1n;
}
