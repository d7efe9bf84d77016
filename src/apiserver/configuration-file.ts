/**
 * Reads the server's configuration files (`apiserver.config.k8s.io`): YAML or JSON, strictly. Every complaint names the field and what is wrong with it, in
 * upstream's form `jwt[0].issuer.url: Required value`.
 */
import { parse } from 'yaml';

/** The file cannot be used; the message names the field. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError';
}

/** An object of the file and where it is. What was not asked for by name is unknown. */
export class Section {
  readonly at: string;
  private readonly values: Readonly<Record<string, unknown>>;

  constructor(value: unknown, at: string) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new ConfigurationError(`${at === '' ? 'the file' : at}: Invalid value: it is not an object`);
    }
    this.at = at;
    this.values = value as Record<string, unknown>;
  }

  path(field: string): string {
    return [this.at, field].filter((part) => part !== '').join('.');
  }

  has(field: string): boolean {
    return this.values[field] !== undefined && this.values[field] !== null;
  }

  /** Throws for a field that is none of these. */
  allow(...fields: readonly string[]): void {
    for (const field of Object.keys(this.values)) {
      if (!fields.includes(field)) throw new ConfigurationError(`strict decoding error: unknown field ${JSON.stringify(this.path(field))}`);
    }
  }

  /** Empty when absent. */
  text(field: string): string {
    const value = this.values[field] ?? '';
    return typeof value === 'string' ? value : this.fail(field, 'Invalid value', `${JSON.stringify(value)}: it is not a text`);
  }

  requiredText(field: string): string {
    const text = this.text(field);
    return text === '' ? this.fail(field, 'Required value') : text;
  }

  truth(field: string): boolean | undefined {
    const value = this.values[field] ?? undefined;
    if (value === undefined || typeof value === 'boolean') return value;
    return this.fail(field, 'Invalid value', `${JSON.stringify(value)}: it is true or false`);
  }

  oneOf<T extends string>(field: string, values: readonly T[]): T | undefined {
    const text = this.text(field);
    if (text === '') return undefined;
    const found = values.find((value) => value === text);
    return (
      found ??
      this.fail(field, 'Unsupported value', `${JSON.stringify(text)}: supported values: ${values.map((value) => JSON.stringify(value)).join(', ')}`)
    );
  }

  texts(field: string): string[] {
    return this.list(field).map((value, index) =>
      typeof value === 'string' ? value : this.fail(`${field}[${index}]`, 'Invalid value', `${JSON.stringify(value)}: it is not a text`),
    );
  }

  section(field: string): Section {
    return this.has(field) ? new Section(this.values[field], this.path(field)) : this.fail(field, 'Required value');
  }

  sections(field: string): Section[] {
    return this.list(field).map((value, index) => new Section(value, this.path(`${field}[${index}]`)));
  }

  fail(field: string, problem: 'Required value' | 'Invalid value' | 'Unsupported value' | 'Duplicate value' | 'Forbidden', words = ''): never {
    throw new ConfigurationError(`${this.path(field)}: ${problem}${words === '' ? '' : `: ${words}`}`);
  }

  private list(field: string): readonly unknown[] {
    const value = this.values[field] ?? [];
    return Array.isArray(value) ? value : this.fail(field, 'Invalid value', 'it is not a list');
  }
}

/** The document of a file, which must be of the kind. */
export function readConfiguration(text: string, kind: string, versions: readonly string[] = ['v1']): Section {
  let value: unknown;
  try {
    value = parse(text);
  } catch (error) {
    throw new ConfigurationError(`the file is not YAML: ${error instanceof Error ? error.message : String(error)}`);
  }
  const document = new Section(value, '');
  const apiVersions = versions.map((version) => `apiserver.config.k8s.io/${version}`);
  if (document.text('kind') !== kind || !apiVersions.includes(document.text('apiVersion'))) {
    throw new ConfigurationError(`the file is not an ${kind} of ${apiVersions.join(' or ')}`);
  }
  return document;
}
