/** EncryptionConfiguration (`apiserver.config.k8s.io/v1`): which resources are encrypted, with which keys. The first provider writes, all read. */
import { parse } from 'yaml';
import { DurationError, parseDuration } from '../../machinery/duration.ts';
import type { Random, World } from '../../world/world.ts';
import { KmsTransformer } from './kms.ts';
import { kmsClient } from './kms-client.ts';
import { secretbox } from './secretbox.ts';
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

interface LocalProvider {
  readonly lengths: readonly number[];
  readonly transformer: (name: string, key: Buffer, random: Random) => Transformer;
}

const localProviders: Readonly<Record<string, LocalProvider>> = {
  aesgcm: { lengths: [16, 24, 32], transformer: aesGcm },
  aescbc: { lengths: [16, 24, 32], transformer: aesCbc },
  secretbox: { lengths: [32], transformer: secretbox },
};

const kmsTimeoutMs = 3_000;

/** Reads a configuration file, YAML or JSON. Throws {@link EncryptionConfigurationError}. */
export function parseEncryptionConfiguration(text: string, world: World): EncryptionRule[] {
  const document = fieldsOf(parsed(text), 'the configuration');
  if (document['kind'] !== 'EncryptionConfiguration' || document['apiVersion'] !== 'apiserver.config.k8s.io/v1') {
    throw new EncryptionConfigurationError('the file is not an EncryptionConfiguration of apiserver.config.k8s.io/v1');
  }
  const kmsNames = new Set<string>();
  return listAt(document, 'resources').map((value, index) =>
    ruleOf(fieldsOf(value, `resources[${index}]`), `resources[${index}]`, { world, kmsNames }),
  );
}

interface Surroundings {
  readonly world: World;
  /** A plugin's name is part of what is stored: it must be one plugin's. */
  readonly kmsNames: Set<string>;
}

function ruleOf(fields: Fields, at: string, surroundings: Surroundings): EncryptionRule {
  const resources = listAt(fields, 'resources').map(String);
  if (resources.length === 0) throw new EncryptionConfigurationError(`${at}.resources: Required value`);
  for (const [index, resource] of resources.entries()) checkResource(resource, resources, `${at}.resources[${index}]`);
  const transformers = listAt(fields, 'providers').flatMap((value, index) => {
    const where = `${at}.providers[${index}]`;
    return providerOf(fieldsOf(value, where), where, surroundings);
  });
  if (transformers.length === 0) throw new EncryptionConfigurationError(`${at}.providers: Required value`);
  return { resources, transformers };
}

/** As upstream: what is written twice, or covered by a wildcard beside it, is a mistake. */
function checkResource(resource: string, all: readonly string[], at: string): void {
  const invalid = (reason: string): never => {
    throw new EncryptionConfigurationError(`${at}: Invalid value: ${JSON.stringify(resource)}: ${reason}`);
  };
  if (resource === '') invalid('resource name should not be empty');
  if (resource !== resource.toLowerCase()) invalid('resource name should be all lowercase');
  if (resource === '*') invalid('use *.* to encrypt all resources, or *. for those of the core group');
  if (/^[^*]+\.\*$/.test(resource)) invalid('resources of all groups can only be named together, as *.*');
  if (/^[^*]+\*|\*[^.]/.test(resource)) invalid('a wildcard stands for the whole resource or the whole group, such as *.apps or *.*');
  if (all.filter((other) => other === resource).length > 1) invalid('the resource is listed more than once');
  if (resource !== '*.*' && all.includes('*.*')) invalid('resource overlaps with *.*');
  const dot = resource.indexOf('.');
  const wildcard = `*.${dot < 0 ? '' : resource.slice(dot + 1)}`;
  if (resource !== wildcard && all.includes(wildcard)) invalid(`resource overlaps with ${wildcard}`);
}

function providerOf(provider: Fields, at: string, surroundings: Surroundings): Transformer[] {
  const [name, ...more] = Object.keys(provider);
  if (name === undefined || more.length > 0) throw new EncryptionConfigurationError(`${at}: Invalid value: one provider each`);
  if (name === 'identity') return [identity];
  if (name === 'kms') return [kmsOf(fieldsOf(provider[name], `${at}.kms`), `${at}.kms`, surroundings)];
  const local = Object.hasOwn(localProviders, name) ? localProviders[name] : undefined;
  if (local === undefined) {
    throw new EncryptionConfigurationError(`${at}.${name}: Unsupported value: there are aesgcm, aescbc, secretbox, kms and identity`);
  }
  const keys = listAt(fieldsOf(provider[name], `${at}.${name}`), 'keys');
  if (keys.length === 0) throw new EncryptionConfigurationError(`${at}.${name}.keys: Required value`);
  return keys.map((value, index) => {
    const where = `${at}.${name}.keys[${index}]`;
    const { name: keyName, secret } = fieldsOf(value, where);
    if (typeof keyName !== 'string' || keyName === '' || keyName.includes(':'))
      throw new EncryptionConfigurationError(`${where}.name: Invalid value`);
    const key = Buffer.from(typeof secret === 'string' ? secret : '', 'base64');
    if (!local.lengths.includes(key.length)) {
      throw new EncryptionConfigurationError(
        `${where}.secret: Invalid value: secret is not of the expected length, got ${key.length}, expected one of [${local.lengths.join(' ')}]`,
      );
    }
    return local.transformer(keyName, key, surroundings.world.random);
  });
}

function kmsOf(fields: Fields, at: string, { world, kmsNames }: Surroundings): KmsTransformer {
  const { apiVersion, name, endpoint, timeout } = fields;
  if (apiVersion !== 'v2') {
    throw new EncryptionConfigurationError(`${at}.apiVersion: Unsupported value: ${JSON.stringify(apiVersion ?? 'v1')}: supported values: "v2"`);
  }
  if (typeof name !== 'string' || name === '') throw new EncryptionConfigurationError(`${at}.name: Required value`);
  if (name.includes(':')) throw new EncryptionConfigurationError(`${at}.name: Invalid value: ${JSON.stringify(name)}: must not contain a colon`);
  if (kmsNames.has(name)) throw new EncryptionConfigurationError(`${at}.name: Invalid value: ${JSON.stringify(name)}: the name is used already`);
  if (typeof endpoint !== 'string' || !/^unix:\/\/\/.+/.test(endpoint)) {
    throw new EncryptionConfigurationError(`${at}.endpoint: Invalid value: ${JSON.stringify(endpoint ?? '')}: it has to be unix:///path/to/a/socket`);
  }
  kmsNames.add(name);
  return new KmsTransformer(name, world, kmsClient(world, endpoint, timeoutOf(timeout, at)));
}

function timeoutOf(timeout: unknown, at: string): number {
  if (timeout === undefined) return kmsTimeoutMs;
  try {
    const ms = typeof timeout === 'string' ? parseDuration(timeout) : 0;
    if (ms > 0) return ms;
  } catch (error) {
    if (!(error instanceof DurationError)) throw error;
  }
  throw new EncryptionConfigurationError(`${at}.timeout: Invalid value: ${JSON.stringify(timeout)}: should be a positive duration, such as 3s`);
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
