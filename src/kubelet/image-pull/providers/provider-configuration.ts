/**
 * The file of `--image-credential-provider-config`: programs that know the credentials of some registries, a `CredentialProviderConfig` of
 * kubelet.config.k8s.io/v1, read strictly. https://kubernetes.io/docs/tasks/administer-cluster/kubelet-credential-provider/
 */
import { parse as parseYaml } from 'yaml';
import { ConfigurationError, Fields } from '../../configuration/fields.ts';

export interface ProviderSettings {
  /** Of the program, in the directory of all of them. */
  readonly name: string;
  /** `*.registry.example.com/team`: images that it is asked about. */
  readonly matchImages: readonly string[];
  /** How long an answer holds that says nothing of it. */
  readonly defaultCacheMs: number;
  /** What it is spoken to in: `credentialprovider.kubelet.k8s.io/v1`. */
  readonly apiVersion: string;
  readonly args: readonly string[];
  readonly env: readonly { readonly name: string; readonly value: string }[];
  /** Where it wants to know for whose pod it is asked. */
  readonly token?: TokenSettings;
}

export interface TokenSettings {
  readonly audience: string;
  /** Whether answers hold for all pods of a service account, or for one token alone. */
  readonly cachedBy: 'Token' | 'ServiceAccount';
  /** Whether pods without a service account are left out. */
  readonly required: boolean;
  readonly requiredAnnotations: readonly string[];
  readonly optionalAnnotations: readonly string[];
}

const versions = ['v1', 'v1beta1', 'v1alpha1'];

/** Throws `ConfigurationError`. */
export function readProviderConfiguration(text: string): readonly ProviderSettings[] {
  let value: unknown;
  try {
    value = parseYaml(text);
  } catch (error) {
    throw new ConfigurationError(`is neither YAML nor JSON: ${error instanceof Error ? error.message.split('\n')[0] : String(error)}`);
  }
  const fields = new Fields(value, '');
  const [apiVersion, kind] = [fields.text('apiVersion') ?? '', fields.text('kind') ?? ''];
  if (kind !== 'CredentialProviderConfig' || !versions.some((version) => apiVersion === `kubelet.config.k8s.io/${version}`)) {
    throw new ConfigurationError(
      `holds ${apiVersion || 'no apiVersion'}, kind ${kind || '(none)'}; expected kubelet.config.k8s.io/v1, CredentialProviderConfig`,
    );
  }
  const providers = (fields.list('providers') ?? []).map((entry, index) => provider(new Fields(entry, `providers[${index}]`)));
  fields.end();
  if (providers.length === 0) throw new ConfigurationError('providers: Required value: at least 1 item in plugins is required');
  for (const [index, { name }] of providers.entries()) {
    if (providers.findIndex((other) => other.name === name) < index)
      throw new ConfigurationError(`providers[${index}].name: Duplicate value: "${name}"`);
  }
  return providers;
}

function provider(fields: Fields): ProviderSettings {
  const name = required(fields, 'name');
  if (/[/\s]/.test(name) || name === '.' || name === '..') {
    throw new ConfigurationError(`${fields.pathOf('name')}: Invalid value: ${JSON.stringify(name)}: must be the name of a file`);
  }
  const matchImages = fields.texts('matchImages') ?? [];
  if (matchImages.length === 0) throw new ConfigurationError(`${fields.pathOf('matchImages')}: Required value: at least 1 image is required`);
  const apiVersion = required(fields, 'apiVersion');
  if (!versions.some((version) => apiVersion === `credentialprovider.kubelet.k8s.io/${version}`)) {
    throw new ConfigurationError(`${fields.pathOf('apiVersion')}: Unsupported value: ${JSON.stringify(apiVersion)}`);
  }
  const defaultCacheMs = fields.durationMs('defaultCacheDuration');
  if (defaultCacheMs === undefined) throw new ConfigurationError(`${fields.pathOf('defaultCacheDuration')}: Required value`);
  const args = fields.texts('args') ?? [];
  const env = (fields.list('env') ?? []).map((entry, index) => variable(new Fields(entry, `${fields.pathOf('env')}[${index}]`)));
  const token = tokenSettings(fields, apiVersion);
  fields.end();
  return { name, matchImages, defaultCacheMs, apiVersion, args, env, ...(token && { token }) };
}

function tokenSettings(parent: Fields, apiVersion: string): TokenSettings | undefined {
  const fields = parent.section('tokenAttributes');
  if (!fields) return undefined;
  if (apiVersion !== 'credentialprovider.kubelet.k8s.io/v1') {
    throw new ConfigurationError(
      `${parent.pathOf('tokenAttributes')}: Forbidden: tokenAttributes is only supported for credentialprovider.kubelet.k8s.io/v1`,
    );
  }
  const isRequired = fields.flag('requireServiceAccount');
  if (isRequired === undefined) throw new ConfigurationError(`${fields.pathOf('requireServiceAccount')}: Required value`);
  const cachedBy = fields.choice('cacheType', ['Token', 'ServiceAccount']);
  if (cachedBy === undefined) throw new ConfigurationError(`${fields.pathOf('cacheType')}: Required value`);
  const requiredAnnotations = fields.texts('requiredServiceAccountAnnotationKeys') ?? [];
  const optionalAnnotations = fields.texts('optionalServiceAccountAnnotationKeys') ?? [];
  if (!isRequired && requiredAnnotations.length > 0) {
    throw new ConfigurationError(`${fields.pathOf('requiredServiceAccountAnnotationKeys')}: Forbidden: requireServiceAccount cannot be false`);
  }
  const audience = required(fields, 'serviceAccountTokenAudience');
  fields.end();
  return { audience, cachedBy, required: isRequired, requiredAnnotations, optionalAnnotations };
}

function variable(fields: Fields): { name: string; value: string } {
  const found = { name: required(fields, 'name'), value: fields.text('value') ?? '' };
  fields.end();
  return found;
}

function required(fields: Fields, name: string): string {
  const value = fields.text(name) ?? '';
  if (value === '') throw new ConfigurationError(`${fields.pathOf(name)}: Required value`);
  return value;
}
