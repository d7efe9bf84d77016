/**
 * Tokens on request: a Secret of type `kubernetes.io/service-account-token` that names an account gets a token of it, the cluster's CA and its namespace; it
 * goes with the account. Upstream's `tokens_controller.go`.
 */
import { Secret, ServiceAccount } from '../../api/kinds.ts';
import { splitKey } from '../../machinery/object.ts';
import type { ControllerDefinition } from '../controller.ts';
import { ignoreGone } from '../errors.ts';
import { orNone } from '../merge.ts';
import { sharedIndex } from '../pods.ts';
import { legacyTokenSigner } from './legacy-token.ts';

export const tokenSecretType = 'kubernetes.io/service-account-token';
export const accountNameAnnotation = 'kubernetes.io/service-account.name';
export const accountUidAnnotation = 'kubernetes.io/service-account.uid';

const byAccountIndex = 'controllers/tokens-by-account';
/** Before the key of an account whose list names a Secret that is gone, and of that Secret: `gone:<namespace>/<account>/<secret>`. */
const gonePrefix = 'gone:';

export const serviceAccountTokenController: ControllerDefinition = {
  name: 'serviceaccount-token-controller',
  serviceAccount: 'token-controller',
  actsAsManager: true,
  setup(context) {
    const { client, options } = context;
    const signToken = options.serviceAccountKey === undefined ? undefined : legacyTokenSigner(options.serviceAccountKey);
    const enqueue = (secret: Secret): void => {
      if (signToken && isTokenSecret(secret)) context.enqueue(`${secret.metadata.namespace}/${secret.metadata.name}`);
    };
    const enqueueTokensOf = ({ metadata: { namespace, name } }: ServiceAccount): void =>
      secrets.byIndex(byAccountIndex, `${namespace}/${name}`).forEach(enqueue);

    const secrets = context.watch(Secret, {
      added: enqueue,
      updated: enqueue,
      deleted(secret) {
        if (isTokenSecret(secret)) context.enqueue(`${gonePrefix}${secret.metadata.namespace}/${accountOf(secret)}/${secret.metadata.name}`);
      },
    });
    sharedIndex(secrets, byAccountIndex, (secret) => (isTokenSecret(secret) ? [`${secret.metadata.namespace}/${accountOf(secret)}`] : []));
    const accounts = context.watch(ServiceAccount, {
      added: enqueueTokensOf,
      updated(account, old) {
        if (account.metadata.uid !== old.metadata.uid) enqueueTokensOf(account);
      },
      deleted: enqueueTokensOf,
    });

    /** The account a Secret is for, if there still is one; asked live before a Secret is deleted for want of it. */
    async function accountFor(secret: Secret): Promise<ServiceAccount | undefined> {
      const { namespace } = secret.metadata;
      const isIts = (account: ServiceAccount | undefined): boolean => {
        const uid = secret.metadata.annotations?.[accountUidAnnotation] ?? '';
        return account !== undefined && (uid === '' || uid === account.metadata.uid);
      };
      const cached = accounts.get(accountOf(secret), namespace);
      if (isIts(cached)) return cached;
      const live = await client.resource(ServiceAccount).namespace(namespace).get(accountOf(secret)).catch(ignoreGone);
      return isIts(live) ? live : undefined;
    }

    async function fill(cached: Secret, account: ServiceAccount): Promise<void> {
      if (!signToken || missingFrom(cached, account, options.rootCa).length === 0) return;
      const { namespace, name } = cached.metadata;
      const secret = await client.resource(Secret).namespace(namespace).get(name).catch(ignoreGone);
      if (!secret || secret.metadata.uid !== cached.metadata.uid) return;
      const missing = missingFrom(secret, account, options.rootCa);
      if (missing.length === 0) return;
      const contents: Record<string, string> = {
        ...(missing.includes('ca.crt') && { 'ca.crt': base64(options.rootCa ?? '') }),
        ...(missing.includes('namespace') && { namespace: base64(namespace) }),
        ...(missing.includes('token') && { token: base64(signToken(account, secret)) }),
      };
      await client
        .resource(Secret)
        .namespace(namespace)
        .update({
          ...secret,
          metadata: { ...secret.metadata, annotations: { ...secret.metadata.annotations, [accountUidAnnotation]: account.metadata.uid } },
          data: { ...secret.data, ...contents },
        });
    }

    /** Accounts of old name their Secrets: one that is gone is taken off that list. */
    async function takeOff(namespace: string, accountName: string, secretName: string): Promise<void> {
      const account = accounts.get(accountName, namespace);
      if (secrets.get(secretName, namespace) || !account?.secrets?.some(({ name }) => name === secretName)) return;
      await client.resource(ServiceAccount).namespace(namespace).update(withoutSecret(account, secretName)).catch(ignoreGone);
    }

    return {
      async reconcile(key) {
        if (key.startsWith(gonePrefix)) {
          const [namespace = '', accountName = '', secretName = ''] = key.slice(gonePrefix.length).split('/');
          return takeOff(namespace, accountName, secretName);
        }
        const { namespace = '', name } = splitKey(key);
        const secret = secrets.get(name, namespace);
        if (!secret || !isTokenSecret(secret) || secret.metadata.deletionTimestamp !== undefined) return;
        const account = await accountFor(secret);
        if (account) return fill(secret, account);
        const { uid, resourceVersion } = secret.metadata;
        await client.resource(Secret).namespace(namespace).delete(name, { preconditions: { uid, resourceVersion } }).catch(ignoreGone);
      },
    };
  },
};

export function isTokenSecret({ type, metadata }: Secret): boolean {
  return type === tokenSecretType && (metadata.annotations?.[accountNameAnnotation] ?? '') !== '';
}

function accountOf({ metadata }: Secret): string {
  return metadata.annotations?.[accountNameAnnotation] ?? '';
}

/** What a Secret lacks; a CA that is not the cluster's is lacking, too. */
export function missingFrom({ data = {}, metadata }: Secret, account: ServiceAccount, rootCa: string | undefined): string[] {
  return [
    ...(rootCa !== undefined && data['ca.crt'] !== base64(rootCa) ? ['ca.crt'] : []),
    ...((data['namespace'] ?? '') === '' ? ['namespace'] : []),
    ...((data['token'] ?? '') === '' ? ['token'] : []),
    ...(metadata.annotations?.[accountUidAnnotation] === account.metadata.uid ? [] : ['uid']),
  ];
}

function withoutSecret(account: ServiceAccount, secretName: string): ServiceAccount {
  const { secrets = [], ...rest } = account;
  const left = orNone(secrets.filter(({ name }) => name !== secretName));
  return left === null ? rest : { ...rest, secrets: [...left] };
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}
