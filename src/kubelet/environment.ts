/** A container's environment, in upstream's order of precedence: its own `env`, then `envFrom`, then the Services it may reach. */
import type { ConfigMap, Pod, Secret, Service } from '../api/kinds.ts';
import type { V1Container, V1EnvVar } from '../api/types.ts';
import { expand } from './expansion.ts';
import { type Allocatable, type PodAddresses, fieldValue, resourceValue } from './field-ref.ts';
import { serviceEnvironment } from './service-environment.ts';
import { ConfigError } from './start-error.ts';

export interface EnvironmentSources {
  readonly pod: Pod;
  readonly addresses: PodAddresses;
  readonly allocatable: Allocatable;
  readonly services: (namespace: string) => readonly Service[];
  /** The Service `kubernetes` in `default`. */
  readonly masterService: Service | undefined;
  readonly configMap: (name: string) => Promise<ConfigMap | undefined>;
  readonly secret: (name: string) => Promise<Secret | undefined>;
}

export async function environmentOf(container: V1Container, sources: EnvironmentSources): Promise<Map<string, string>> {
  const { pod } = sources;
  const links = pod.spec.enableServiceLinks === false ? [] : sources.services(pod.metadata.namespace);
  const announced = serviceEnvironment([...(sources.masterService ? [sources.masterService] : []), ...links]);
  const env = new Map<string, string>();
  for (const { prefix = '', configMapRef, secretRef } of container.envFrom ?? []) {
    if (configMapRef) {
      const name = configMapRef.name ?? '';
      const configMap = await sources.configMap(name);
      if (!configMap && configMapRef.optional !== true) throw new ConfigError(`configmap "${name}" not found`);
      for (const [key, value] of Object.entries(configMap?.data ?? {})) put(env, prefix + key, value);
    }
    if (secretRef) {
      const name = secretRef.name ?? '';
      const secret = await sources.secret(name);
      if (!secret && secretRef.optional !== true) throw new ConfigError(`secret "${name}" not found`);
      for (const [key, value] of Object.entries(secret?.data ?? {})) put(env, prefix + key, decoded(value));
    }
  }
  for (const variable of container.env ?? []) {
    const value = await valueOf(variable, container, sources, (name) => env.get(name) ?? announced.get(name));
    if (value !== undefined) env.set(variable.name, value);
  }
  for (const [name, value] of announced) if (!env.has(name)) env.set(name, value);
  return env;
}

/** Names that no process could read are left out, as upstream does. */
function put(env: Map<string, string>, name: string, value: string): void {
  if (name !== '' && /^[ -<>-~]+$/.test(name)) env.set(name, value);
}

function decoded(base64: string): string {
  return Buffer.from(base64, 'base64').toString('utf8');
}

/** Undefined leaves the variable out: its optional source is not there. */
async function valueOf(
  variable: V1EnvVar,
  container: V1Container,
  sources: EnvironmentSources,
  lookup: (name: string) => string | undefined,
): Promise<string | undefined> {
  const { valueFrom } = variable;
  if (!valueFrom) return expand(variable.value ?? '', lookup);
  const { pod } = sources;
  const { namespace } = pod.metadata;
  if (valueFrom.fieldRef) return fieldValue(pod, valueFrom.fieldRef.fieldPath, sources.addresses);
  if (valueFrom.resourceFieldRef) return resourceValue(pod, container, valueFrom.resourceFieldRef, sources.allocatable);
  if (valueFrom.configMapKeyRef) {
    const { name = '', key, optional } = valueFrom.configMapKeyRef;
    const configMap = await sources.configMap(name);
    if (!configMap && optional !== true) throw new ConfigError(`configmap "${name}" not found`);
    const value = configMap?.data?.[key];
    if (configMap && value === undefined && optional !== true) throw new ConfigError(`couldn't find key ${key} in ConfigMap ${namespace}/${name}`);
    return value;
  }
  if (valueFrom.secretKeyRef) {
    const { name = '', key, optional } = valueFrom.secretKeyRef;
    const secret = await sources.secret(name);
    if (!secret && optional !== true) throw new ConfigError(`secret "${name}" not found`);
    const value = secret?.data?.[key];
    if (secret && value === undefined && optional !== true) throw new ConfigError(`couldn't find key ${key} in Secret ${namespace}/${name}`);
    return value === undefined ? undefined : decoded(value);
  }
  return '';
}
