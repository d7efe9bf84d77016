/** Reads the fields of a configuration one by one, each with its path in the message when it is wrong, and tells in the end of any that nobody asked for. */
import { parseDuration } from '../../machinery/duration.ts';
import { isQuantity, parseQuantity } from '../../machinery/quantity.ts';

export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError';
}

export class Fields {
  readonly #values: Readonly<Record<string, unknown>>;
  readonly #path: string;
  readonly #read = new Set<string>();

  constructor(values: unknown, path: string) {
    if (!isRecord(values)) throw new ConfigurationError(`${path === '' ? 'the configuration' : path} must be an object`);
    this.#values = values;
    this.#path = path;
  }

  pathOf(name: string): string {
    return this.#path === '' ? name : `${this.#path}.${name}`;
  }

  text(name: string): string | undefined {
    return this.#typed(name, 'string', (value): value is string => typeof value === 'string');
  }

  flag(name: string): boolean | undefined {
    return this.#typed(name, 'true or false', (value): value is boolean => typeof value === 'boolean');
  }

  integer(name: string, least: number, most = Number.MAX_SAFE_INTEGER): number | undefined {
    const value = this.#typed(name, 'a whole number', (found): found is number => Number.isInteger(found));
    if (value !== undefined && (value < least || value > most)) {
      throw this.#wrong(name, value, `must be between ${least} and ${most}`);
    }
    return value;
  }

  /** One of these words. */
  choice<T extends string>(name: string, choices: readonly T[]): T | undefined {
    const value = this.text(name);
    const found = choices.find((choice) => choice === value);
    if (value !== undefined && found === undefined) throw this.#wrong(name, value, `must be one of ${choices.join(', ')}`);
    return found;
  }

  /** A Go duration, in milliseconds. */
  durationMs(name: string): number | undefined {
    const value = this.text(name);
    if (value === undefined) return undefined;
    try {
      const ms = parseDuration(value);
      if (ms >= 0) return ms;
    } catch {
      // Told of below.
    }
    throw this.#wrong(name, value, 'must be a duration such as 30s or 5m');
  }

  bytes(name: string): number | undefined {
    const value = this.text(name);
    if (value === undefined) return undefined;
    if (!isQuantity(value) || parseQuantity(value).value() < 0) throw this.#wrong(name, value, 'must be an amount of bytes such as 10Mi');
    return parseQuantity(value).value();
  }

  texts(name: string): readonly string[] | undefined {
    return this.#typed(name, 'a list of strings', isTexts);
  }

  textMap(name: string): Readonly<Record<string, string>> | undefined {
    return this.#typed(name, 'a map of strings', isTextMap);
  }

  /** Quantities by resource name. */
  quantities(name: string, known: readonly string[]): Readonly<Record<string, string>> | undefined {
    const map = this.textMap(name);
    for (const [resource, amount] of Object.entries(map ?? {})) {
      if (!known.includes(resource)) throw this.#wrong(`${name}[${resource}]`, amount, `is none of ${known.join(', ')}`);
      if (!isQuantity(amount) || parseQuantity(amount).value() < 0) throw this.#wrong(`${name}[${resource}]`, amount, 'must be a quantity');
    }
    return map;
  }

  section(name: string): Fields | undefined {
    const value = this.#take(name);
    return value === undefined ? undefined : new Fields(value, this.pathOf(name));
  }

  list(name: string): readonly unknown[] | undefined {
    return this.#typed(name, 'a list', (value): value is readonly unknown[] => Array.isArray(value));
  }

  /** Fields that may stand there and change nothing here. */
  passOver(names: readonly string[]): void {
    for (const name of names) this.#read.add(name);
  }

  /** Throws when any of these stands there with a value. */
  refuse(names: readonly string[]): void {
    for (const name of names) {
      const value = this.#take(name);
      if (value === undefined || value === '' || value === 0 || (typeof value === 'object' && value !== null && Object.keys(value).length === 0))
        continue;
      throw new ConfigurationError(`${this.pathOf(name)}: is not supported by this kubelet`);
    }
  }

  /** Throws when anything stands there that was not read. */
  end(): void {
    const unknown = Object.keys(this.#values).filter((name) => !this.#read.has(name));
    if (unknown.length > 0) throw new ConfigurationError(`unknown field ${unknown.map((name) => JSON.stringify(this.pathOf(name))).join(', ')}`);
  }

  #take(name: string): unknown {
    this.#read.add(name);
    return this.#values[name] ?? undefined;
  }

  #typed<T>(name: string, wanted: string, is: (value: unknown) => value is T): T | undefined {
    const value = this.#take(name);
    if (value === undefined) return undefined;
    if (!is(value)) throw this.#wrong(name, value, `must be ${wanted}`);
    return value;
  }

  #wrong(name: string, value: unknown, why: string): ConfigurationError {
    return new ConfigurationError(`${this.pathOf(name)}: Invalid value: ${JSON.stringify(value)}: ${why}`);
  }
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}

function isTextMap(value: unknown): value is Readonly<Record<string, string>> {
  return isRecord(value) && Object.values(value).every((item) => typeof item === 'string');
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
