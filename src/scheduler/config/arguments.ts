/**
 * Reads configuration strictly: a field nobody knows, or one of another type, is an error that names its path and what was expected, not something that is
 * silently passed over.
 */

/** The configuration makes no sense; the message begins with the path of the field. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError';
}

export class Arguments {
  readonly path: string;
  private readonly fields: ReadonlyMap<string, unknown>;
  private readonly asked = new Set<string>();

  private constructor(path: string, fields: ReadonlyMap<string, unknown>) {
    this.path = path;
    this.fields = fields;
  }

  /** An absent value is an object without fields. */
  static of(value: unknown, path: string): Arguments {
    if (value === undefined || value === null) return new Arguments(path, new Map());
    if (typeof value !== 'object' || Array.isArray(value)) throw new ConfigurationError(`${path}: Invalid value: ${shown(value)}: must be an object`);
    return new Arguments(path, new Map(Object.entries(value)));
  }

  /** The same with one field set. */
  with(name: string, value: unknown): Arguments {
    const changed = new Arguments(this.path, new Map([...this.fields, [name, value]]));
    for (const one of this.asked) changed.asked.add(one);
    return changed;
  }

  has(name: string): boolean {
    return this.raw(name) !== undefined;
  }

  text(name: string): string | undefined {
    return this.typed(name, 'string', (value) => (typeof value === 'string' ? value : undefined));
  }

  oneOf<T extends string>(name: string, allowed: readonly T[]): T | undefined {
    const value = this.text(name);
    if (value === undefined) return undefined;
    const found = allowed.find((one) => one === value);
    if (found === undefined) {
      throw new ConfigurationError(`${this.at(name)}: Unsupported value: ${shown(value)}: supported values: ${allowed.map(shown).join(', ')}`);
    }
    return found;
  }

  truth(name: string): boolean | undefined {
    return this.typed(name, 'boolean', (value) => (typeof value === 'boolean' ? value : undefined));
  }

  /** A whole number within bounds. */
  whole(name: string, min: number, max: number): number | undefined {
    const value = this.typed(name, 'number', (given) => (typeof given === 'number' ? given : undefined));
    if (value === undefined) return undefined;
    if (!Number.isInteger(value) || value < min || value > max) {
      throw new ConfigurationError(`${this.at(name)}: Invalid value: ${shown(value)}: must be a whole number from ${min} to ${max}`);
    }
    return value;
  }

  texts(name: string): string[] | undefined {
    return this.values(name)?.map((value, index) => {
      if (typeof value !== 'string') throw new ConfigurationError(`${this.at(name)}[${index}]: Invalid value: ${shown(value)}: must be a string`);
      return value;
    });
  }

  object(name: string): Arguments | undefined {
    const value = this.raw(name);
    return value === undefined ? undefined : Arguments.of(value, this.at(name));
  }

  objects(name: string): Arguments[] | undefined {
    return this.values(name)?.map((value, index) => Arguments.of(value, `${this.at(name)}[${index}]`));
  }

  /** As it is, of whatever type: for parts of the Kubernetes API, whose own rules apply. */
  raw(name: string): unknown {
    this.asked.add(name);
    return this.fields.get(name) ?? undefined;
  }

  /** Throws for a field nobody asked for. Called last. */
  done(): void {
    for (const name of this.fields.keys()) {
      if (this.asked.has(name)) continue;
      throw new ConfigurationError(`${this.at(name)}: unknown field; there are ${[...this.asked].sort().join(', ') || 'none'}`);
    }
  }

  /** Throws an error about one field. */
  refuse(name: string, why: string): never {
    throw new ConfigurationError(`${this.at(name)}: Invalid value: ${shown(this.fields.get(name))}: ${why}`);
  }

  private values(name: string): unknown[] | undefined {
    return this.typed(name, 'list', (value) => (Array.isArray(value) ? value : undefined));
  }

  private typed<T>(name: string, type: string, read: (value: unknown) => T | undefined): T | undefined {
    const value = this.raw(name);
    if (value === undefined) return undefined;
    const found = read(value);
    if (found === undefined) throw new ConfigurationError(`${this.at(name)}: Invalid value: ${shown(value)}: must be a ${type}`);
    return found;
  }

  private at(name: string): string {
    return this.path === '' ? name : `${this.path}.${name}`;
  }
}

function shown(value: unknown): string {
  return JSON.stringify(value) ?? String(value);
}
