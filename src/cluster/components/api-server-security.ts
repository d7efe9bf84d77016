/** The API server's flags about who may use it and what is written down, read and checked into its options. */
import type { ApiServerOptions } from '../../apiserver/api-server.ts';
import type { AuditBackend } from '../../apiserver/audit/audit.ts';
import { AuditLogFile } from '../../apiserver/audit/log-file.ts';
import { AuditPolicyError, parseAuditPolicy } from '../../apiserver/audit/policy.ts';
import { AuditWebhook, everyBackend } from '../../apiserver/audit/webhook.ts';
import { type AuthenticationConfiguration, parseAuthenticationConfiguration } from '../../apiserver/authentication/configuration.ts';
import { parseAuthorizationConfiguration } from '../../apiserver/authorization/configuration.ts';
import { type AuthorizationMode, authorizationModes, type AuthorizerChoice } from '../../apiserver/authorization/modes.ts';
import { ConfigurationError } from '../../apiserver/configuration-file.ts';
import { EncryptionConfigurationError, type EncryptionRule, parseEncryptionConfiguration } from '../../apiserver/encryption/configuration.ts';
import type { WebhookOptions } from '../../apiserver/webhook-connection.ts';
import { connectionOf } from '../../client/kubeconfig.ts';
import type { World } from '../../world/world.ts';
import { ClusterError } from '../config.ts';
import type { Followed } from './configuration-files.ts';
import { readCertificates, readFlagFile } from './files.ts';

export interface SecurityFlags {
  /** Absent when the flag was not given. */
  readonly anonymousAuth?: boolean;
  readonly apiAudiences?: readonly string[];
  readonly enableBootstrapTokenAuth: boolean;
  readonly authenticationConfig?: string;
  readonly requestheaderClientCaFile?: string;
  readonly requestheaderAllowedNames: readonly string[];
  readonly requestheaderUsernameHeaders: readonly string[];
  readonly requestheaderUidHeaders: readonly string[];
  readonly requestheaderGroupHeaders: readonly string[];
  readonly requestheaderExtraHeadersPrefix: readonly string[];
  readonly oidcIssuerUrl?: string;
  readonly oidcClientId?: string;
  readonly oidcCaFile?: string;
  readonly oidcUsernameClaim: string;
  readonly oidcUsernamePrefix?: string;
  readonly oidcGroupsClaim?: string;
  readonly oidcGroupsPrefix?: string;
  readonly oidcRequiredClaim: Readonly<Record<string, string>>;
  readonly oidcSigningAlgs: readonly string[];
  readonly authenticationTokenWebhookConfigFile?: string;
  readonly authenticationTokenWebhookCacheTtl: number;
  readonly authorizationConfig?: string;
  /** Absent when the flag was not given. */
  readonly authorizationMode?: readonly string[];
  readonly authorizationWebhookConfigFile?: string;
  readonly authorizationWebhookCacheAuthorizedTtl: number;
  readonly authorizationWebhookCacheUnauthorizedTtl: number;
  readonly auditPolicyFile?: string;
  readonly auditLogPath?: string;
  readonly auditLogMaxsize: number;
  readonly auditLogMaxbackup: number;
  readonly auditLogMaxage: number;
  readonly auditWebhookConfigFile?: string;
  readonly auditWebhookBatchBufferSize: number;
  readonly auditWebhookBatchMaxSize: number;
  readonly auditWebhookBatchMaxWait: number;
  readonly auditWebhookInitialBackoff: number;
  readonly encryptionProviderConfig?: string;
  readonly encryptionProviderConfigAutomaticReload: boolean;
  readonly maxRequestsInflight: number;
  readonly maxMutatingRequestsInflight: number;
  readonly enablePriorityAndFairness: boolean;
  readonly serviceAccountIssuer: readonly string[];
}

const megabyte = 1024 * 1024;
const dayMs = 24 * 60 * 60 * 1000;

/** Throws {@link ClusterError} naming flag and reason. */
export function readSecurity(flags: SecurityFlags, world: World): Partial<ApiServerOptions> {
  const { apiAudiences } = flags;
  return {
    bootstrapTokens: flags.enableBootstrapTokenAuth,
    ...readAuthenticationConfiguration(flags),
    ...(apiAudiences && { apiAudiences }),
    ...readRequestHeader(flags),
    ...readOidc(flags),
    ...readTokenWebhook(flags),
    ...readAuthorization(flags),
    ...readAudit(flags, world),
    ...readEncryption(flags, world),
    maxRequestsInFlight: flags.enablePriorityAndFairness ? flags.maxRequestsInflight + flags.maxMutatingRequestsInflight : 0,
  };
}

function readRequestHeader(flags: SecurityFlags): Pick<ApiServerOptions, 'requestHeader'> {
  if (flags.requestheaderClientCaFile === undefined) return {};
  return {
    requestHeader: {
      clientCa: readCertificates('--requestheader-client-ca-file', flags.requestheaderClientCaFile),
      allowedNames: flags.requestheaderAllowedNames,
      usernameHeaders: flags.requestheaderUsernameHeaders,
      uidHeaders: flags.requestheaderUidHeaders,
      groupHeaders: flags.requestheaderGroupHeaders,
      extraHeaderPrefixes: flags.requestheaderExtraHeadersPrefix,
    },
  };
}

function readOidc(flags: SecurityFlags): Pick<ApiServerOptions, 'oidc'> {
  const { oidcIssuerUrl: issuerUrl, oidcClientId: clientId, oidcCaFile } = flags;
  if (issuerUrl === undefined && clientId === undefined) return {};
  if (issuerUrl === undefined || clientId === undefined) throw new ClusterError('--oidc-issuer-url and --oidc-client-id go together: give both');
  if (!issuerUrl.startsWith('https://')) throw new ClusterError(`--oidc-issuer-url ${issuerUrl}: has to begin with https://`);
  const { oidcUsernamePrefix: usernamePrefix, oidcGroupsClaim: groupsClaim, oidcGroupsPrefix: groupsPrefix } = flags;
  return {
    oidc: {
      issuerUrl,
      clientId,
      usernameClaim: flags.oidcUsernameClaim,
      requiredClaims: flags.oidcRequiredClaim,
      signingAlgorithms: flags.oidcSigningAlgs,
      ...(oidcCaFile !== undefined && { ca: readCertificates('--oidc-ca-file', oidcCaFile) }),
      ...(usernamePrefix !== undefined && { usernamePrefix }),
      ...(groupsClaim !== undefined && { groupsClaim }),
      ...(groupsPrefix !== undefined && { groupsPrefix }),
    },
  };
}

function readTokenWebhook(flags: SecurityFlags): Pick<ApiServerOptions, 'tokenWebhook'> {
  const file = flags.authenticationTokenWebhookConfigFile;
  return file === undefined ? {} : { tokenWebhook: { ...readWebhook(file), cacheTtlMs: flags.authenticationTokenWebhookCacheTtl } };
}

function readAuthenticationConfiguration(flags: SecurityFlags): Pick<ApiServerOptions, 'authenticationConfiguration' | 'anonymousAuth'> {
  const { authenticationConfig: file, anonymousAuth, oidcIssuerUrl, oidcClientId } = flags;
  const byFlag = anonymousAuth === undefined ? {} : { anonymousAuth };
  if (file === undefined) return byFlag;
  if (oidcIssuerUrl !== undefined || oidcClientId !== undefined) {
    throw new ClusterError('--authentication-config and the --oidc flags exclude each other: name the issuer in the file');
  }
  const authenticationConfiguration = authenticationConfigurationOf(file, flags);
  if (anonymousAuth !== undefined && authenticationConfiguration.anonymousAuth !== undefined) {
    throw new ClusterError(`--anonymous-auth cannot be given when ${file} has the field anonymous`);
  }
  return { authenticationConfiguration, ...byFlag };
}

function authenticationConfigurationOf(file: string, { serviceAccountIssuer: [ownIssuer = ''] }: SecurityFlags): AuthenticationConfiguration {
  return readWith('--authentication-config', file, ConfigurationError, (text) => parseAuthenticationConfiguration(text, ownIssuer));
}

function readAuthorization(flags: SecurityFlags): { authorizers: readonly AuthorizerChoice[] } {
  const { authorizationConfig, authorizationMode, authorizationWebhookConfigFile: file } = flags;
  if (authorizationConfig !== undefined) {
    if (authorizationMode !== undefined || file !== undefined) {
      throw new ClusterError('--authorization-config and the other --authorization flags exclude each other: name the webhook in the file');
    }
    return { authorizers: authorizersOf(authorizationConfig) };
  }
  const modes = (authorizationMode ?? ['Node', 'RBAC']).map((text): AuthorizationMode => {
    const mode = authorizationModes.find((known) => known === text);
    if (mode === undefined) throw new ClusterError(`--authorization-mode ${text}: there are ${authorizationModes.join(', ')}`);
    return mode;
  });
  const twice = modes.find((mode, index) => modes.indexOf(mode) !== index);
  if (twice !== undefined) throw new ClusterError(`--authorization-mode ${modes.join(',')}: has ${twice} more than once`);
  if (modes.includes('Webhook') !== (file !== undefined)) {
    throw new ClusterError('--authorization-mode Webhook and --authorization-webhook-config-file go together: give both');
  }
  const webhook = file === undefined ? undefined : { ...readWebhook(file), ...cacheTimes(flags) };
  return {
    authorizers: modes.flatMap((mode): AuthorizerChoice[] => {
      if (mode !== 'Webhook') return [{ mode }];
      return webhook === undefined ? [] : [{ mode, webhook }];
    }),
  };
}

function cacheTimes(flags: SecurityFlags): { authorizedTtlMs: number; unauthorizedTtlMs: number } {
  return { authorizedTtlMs: flags.authorizationWebhookCacheAuthorizedTtl, unauthorizedTtlMs: flags.authorizationWebhookCacheUnauthorizedTtl };
}

function authorizersOf(file: string): AuthorizerChoice[] {
  return readWith('--authorization-config', file, ConfigurationError, (text) => parseAuthorizationConfiguration(text, readWebhook));
}

function readAudit(flags: SecurityFlags, world: World): Pick<ApiServerOptions, 'audit'> {
  const { auditPolicyFile } = flags;
  const backends = [...auditLog(flags, world), ...auditWebhook(flags, world)];
  if (backends.length === 0) return {};
  // As upstream: without a policy there is nothing to write.
  if (auditPolicyFile === undefined) {
    throw new ClusterError('--audit-log-path and --audit-webhook-config-file need --audit-policy-file: without a policy nothing is written');
  }
  const policy = readWith('--audit-policy-file', auditPolicyFile, AuditPolicyError, parseAuditPolicy);
  return { audit: { policy, backend: everyBackend(backends) } };
}

function auditLog(flags: SecurityFlags, world: World): AuditBackend[] {
  const { auditLogPath: path } = flags;
  if (path === undefined) return [];
  const maxSizeBytes = flags.auditLogMaxsize * megabyte;
  const maxAgeMs = flags.auditLogMaxage * dayMs;
  return [new AuditLogFile(world, { path, maxSizeBytes, maxBackups: flags.auditLogMaxbackup, maxAgeMs })];
}

function auditWebhook(flags: SecurityFlags, world: World): AuditBackend[] {
  const { auditWebhookConfigFile: file } = flags;
  if (file === undefined) return [];
  const options = {
    ...readWebhook(file),
    bufferBound: flags.auditWebhookBatchBufferSize,
    batchSize: flags.auditWebhookBatchMaxSize,
    maxWaitMs: flags.auditWebhookBatchMaxWait,
    initialBackoffMs: flags.auditWebhookInitialBackoff,
  };
  return [new AuditWebhook(world, options)];
}

function readEncryption(flags: SecurityFlags, world: World): Pick<ApiServerOptions, 'encryption'> {
  const file = flags.encryptionProviderConfig;
  if (file === undefined) {
    if (flags.encryptionProviderConfigAutomaticReload) {
      throw new ClusterError('--encryption-provider-config-automatic-reload needs --encryption-provider-config');
    }
    return {};
  }
  return { encryption: encryptionOf(file, world) };
}

function encryptionOf(file: string, world: World): EncryptionRule[] {
  return readWith('--encryption-provider-config', file, EncryptionConfigurationError, (text) => parseEncryptionConfiguration(text, world));
}

/** Configurations that are taken anew when their file changes. */
export function followedConfigurations(flags: SecurityFlags, world: World): Followed[] {
  const { authenticationConfig, authorizationConfig, encryptionProviderConfig, encryptionProviderConfigAutomaticReload } = flags;
  const followed: Followed[] = [];
  if (authenticationConfig !== undefined) {
    followed.push({
      name: '--authentication-config',
      files: [authenticationConfig],
      read: () => readFlagFile('--authentication-config', authenticationConfig),
      take: (server) => server.replaceAuthentication(authenticationConfigurationOf(authenticationConfig, flags)),
    });
  }
  if (authorizationConfig !== undefined) {
    followed.push({
      name: '--authorization-config',
      files: [authorizationConfig],
      read: () => readFlagFile('--authorization-config', authorizationConfig),
      take: (server) => server.replaceAuthorizers(authorizersOf(authorizationConfig)),
    });
  }
  if (encryptionProviderConfig !== undefined && encryptionProviderConfigAutomaticReload) {
    followed.push({
      name: '--encryption-provider-config',
      files: [encryptionProviderConfig],
      read: () => readFlagFile('--encryption-provider-config', encryptionProviderConfig),
      take: (server) => server.replaceEncryption(encryptionOf(encryptionProviderConfig, world)),
    });
  }
  return followed;
}

function readWith<T>(flag: string, file: string, complaint: new (message: string) => Error, parse: (text: string) => T): T {
  try {
    return parse(readFlagFile(flag, file));
  } catch (error) {
    throw error instanceof complaint ? new ClusterError(`${flag} ${file}: ${error.message}`) : error;
  }
}

/** A webhook is named by a kubeconfig file, as upstream: its cluster is whom to ask, its user who asks. */
function readWebhook(file: string): WebhookOptions {
  const { server, ca, certificate, key, token, serverName } = connectionOf(file);
  return {
    server,
    ...(ca !== undefined && { ca }),
    ...(certificate !== undefined && { certificate }),
    ...(key !== undefined && { key }),
    ...(token !== undefined && { token }),
    ...(serverName !== undefined && { serverName }),
  };
}
