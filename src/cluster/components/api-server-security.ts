/** The API server's flags about who may use it and what is written down, read and checked into its options. */
import type { ApiServerOptions } from '../../apiserver/api-server.ts';
import { AuditLogFile } from '../../apiserver/audit/log-file.ts';
import { AuditPolicyError, parseAuditPolicy } from '../../apiserver/audit/policy.ts';
import { type AuthorizationMode, authorizationModes } from '../../apiserver/authorization/modes.ts';
import { EncryptionConfigurationError, parseEncryptionConfiguration } from '../../apiserver/encryption/configuration.ts';
import type { WebhookOptions } from '../../apiserver/webhook-connection.ts';
import { connectionOf } from '../../client/kubeconfig.ts';
import type { World } from '../../world/world.ts';
import { ClusterError } from '../config.ts';
import { readCertificates, readFlagFile } from './files.ts';

export interface SecurityFlags {
  readonly anonymousAuth: boolean;
  readonly apiAudiences?: readonly string[];
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
  readonly authorizationMode: readonly string[];
  readonly authorizationWebhookConfigFile?: string;
  readonly authorizationWebhookCacheAuthorizedTtl: number;
  readonly authorizationWebhookCacheUnauthorizedTtl: number;
  readonly auditPolicyFile?: string;
  readonly auditLogPath?: string;
  readonly auditLogMaxsize: number;
  readonly auditLogMaxbackup: number;
  readonly auditLogMaxage: number;
  readonly encryptionProviderConfig?: string;
  readonly maxRequestsInflight: number;
  readonly maxMutatingRequestsInflight: number;
  readonly enablePriorityAndFairness: boolean;
}

const megabyte = 1024 * 1024;
const dayMs = 24 * 60 * 60 * 1000;

/** Throws {@link ClusterError} naming flag and reason. */
export function readSecurity(flags: SecurityFlags, world: World): Partial<ApiServerOptions> {
  const { apiAudiences } = flags;
  return {
    anonymousAuth: flags.anonymousAuth,
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

function readAuthorization(flags: SecurityFlags): Pick<ApiServerOptions, 'authorizationModes' | 'authorizationWebhook'> {
  const modes = flags.authorizationMode.map((text): AuthorizationMode => {
    const mode = authorizationModes.find((known) => known === text);
    if (mode === undefined) throw new ClusterError(`--authorization-mode ${text}: there are ${authorizationModes.join(', ')}`);
    return mode;
  });
  const file = flags.authorizationWebhookConfigFile;
  if (modes.includes('Webhook') !== (file !== undefined)) {
    throw new ClusterError('--authorization-mode Webhook and --authorization-webhook-config-file go together: give both');
  }
  if (file === undefined) return { authorizationModes: modes };
  return {
    authorizationModes: modes,
    authorizationWebhook: {
      ...readWebhook(file),
      authorizedTtlMs: flags.authorizationWebhookCacheAuthorizedTtl,
      unauthorizedTtlMs: flags.authorizationWebhookCacheUnauthorizedTtl,
    },
  };
}

function readAudit(flags: SecurityFlags, world: World): Pick<ApiServerOptions, 'audit'> {
  const { auditPolicyFile, auditLogPath: path } = flags;
  if (path === undefined) return {};
  // As upstream: without a policy there is nothing to write.
  if (auditPolicyFile === undefined) throw new ClusterError('--audit-log-path needs --audit-policy-file: without a policy nothing is written');
  const backend = new AuditLogFile(world, {
    path,
    maxSizeBytes: flags.auditLogMaxsize * megabyte,
    maxBackups: flags.auditLogMaxbackup,
    maxAgeMs: flags.auditLogMaxage * dayMs,
  });
  const policy = readWith('--audit-policy-file', auditPolicyFile, AuditPolicyError, parseAuditPolicy);
  return { audit: { policy, backend } };
}

function readEncryption({ encryptionProviderConfig: file }: SecurityFlags, world: World): Pick<ApiServerOptions, 'encryption'> {
  if (file === undefined) return {};
  const parse = (text: string): NonNullable<ApiServerOptions['encryption']> => parseEncryptionConfiguration(text, world.random);
  return { encryption: readWith('--encryption-provider-config', file, EncryptionConfigurationError, parse) };
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
