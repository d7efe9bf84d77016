/** EncryptionConfiguration (`apiserver.config.k8s.io/v1`): which resources are encrypted, with which keys. The first provider writes, all read. */
import { parse } from 'yaml';
import type { Random } from '../../world/world.ts';
import { aesCbc, aesGcm, identity, type Transformer } from './transformers.ts';

export interface EncryptionRule {
  /** `secrets`, `deployments.apps`, `*.apps`, `*.` (the core group), `*.*`. */
  readonly resources: readonly string[];
  /** Not empty; the first writes. */
  readonly transformers: readonly Transformer[];
}

/** The configuration cannot be used; the message names the field. */
export class EncryptionConfigurationError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'EncryptionConfigurationError';
  }
}

const keyLengths: Readonly<Record<string, readonly number[]>> = { aesgcm: [16, 24, 32], aescbc: [16, 24, 32] };

/** Reads a configuration file, YAML or JSON. Throws {@link EncryptionConfigurationError}. */
export function parseEncryptionConfiguration(text: string, random: Random): EncryptionRule[] {
  const document = fieldsOf(parsed(text), 'the configuration');
  if (document['kind'] !== 'EncryptionConfiguration' || document['apiVersion'] !== 'apiserver.config.k8s.io/v1') {
    throw new EncryptionConfigurationError('the file is not an EncryptionConfiguration of apiserver.config.k8s.io/v1');
  }
  return listAt(document, 'resources').map((value, index) => ruleOf(fieldsOf(value, `resources[${index}]`), `resources[${index}]`, random));
}

function ruleOf(fields: Fields, at: string, random: Random): EncryptionRule {
  const resources = listAt(fields, 'resources').map(String);
  if (resources.length === 0) throw new EncryptionConfigurationError(`${at}.resources: Required value`);
  const transformers = listAt(fields, 'providers').flatMap((value, index) => {
    const where = `${at}.providers[${index}]`;
    return providerOf(fieldsOf(value, where), where, random);
  });
  if (transformers.length === 0) throw new EncryptionConfigurationError(`${at}.providers: Required value`);
  return { resources, transformers };
}

function providerOf(provider: Fields, at: string, random: Random): Transformer[] {
  const [name, ...more] = Object.keys(provider);
  if (name === undefined || more.length > 0) throw new EncryptionConfigurationError(`${at}: Invalid value: one provider each`);
  if (name === 'identity') return [identity];
  const lengths = keyLengths[name];
  if (lengths === undefined) throw new EncryptionConfigurationError(`${at}.${name}: Unsupported value: k8ts has aesgcm, aescbc and identity`);
  const keys = listAt(fieldsOf(provider[name], `${at}.${name}`), 'keys');
  if (keys.length === 0) throw new EncryptionConfigurationError(`${at}.${name}.keys: Required value`);
  return keys.map((value, index) => {
    const where = `${at}.${name}.keys[${index}]`;
    const { name: keyName, secret } = fieldsOf(value, where);
    if (typeof keyName !== 'string' || keyName === '' || keyName.includes(':'))
      throw new EncryptionConfigurationError(`${where}.name: Invalid value`);
    const key = Buffer.from(typeof secret === 'string' ? secret : '', 'base64');
    if (!lengths.includes(key.length)) {
      throw new EncryptionConfigurationError(
        `${where}.secret: Invalid value: secret is not of the expected length, got ${key.length}, expected one of [${lengths.join(' ')}]`,
      );
    }
    return name === 'aesgcm' ? aesGcm(keyName, key, random) : aesCbc(keyName, key, random);
  });
}

type Fields = Readonly<Record<string, unknown>>;

function parsed(text: string): unknown {
  try {
    return parse(text);
  } catch (error) {
    throw new EncryptionConfigurationError(`the file is not YAML: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function fieldsOf(value: unknown, what: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new EncryptionConfigurationError(`${what} is not an object`);
  return value as Fields;
}

function listAt(fields: Fields, name: string): readonly unknown[] {
  const value = fields[name] ?? [];
  if (!Array.isArray(value)) throw new EncryptionConfigurationError(`${name} is not a list`);
  return value;
}
