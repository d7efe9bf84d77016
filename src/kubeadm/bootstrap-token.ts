/**
 * Bootstrap tokens: short-lived proofs with which a machine joins, kept in Secrets of kube-system. See
 * https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/
 */
import { Secret } from '../api/kinds.ts';
import type { Client } from '../client/client.ts';
import { timestamp, type World } from '../world/world.ts';

export interface BootstrapToken {
  readonly id: string;
  readonly secret: string;
}

/** Who joins with a token of ours belongs to it, as with kubeadm's. */
export const joiningGroup = 'system:bootstrappers:kubeadm:default-node-token';

const alphabet = 'abcdefghijklmnopqrstuvwxyz0123456789';

/** `abcdef.0123456789abcdef` taken apart; undefined for anything else. */
export function parseBootstrapToken(text: string): BootstrapToken | undefined {
  const match = /^([a-z0-9]{6})\.([a-z0-9]{16})$/.exec(text);
  return match ? { id: match[1] ?? '', secret: match[2] ?? '' } : undefined;
}

export function bootstrapTokenText({ id, secret }: BootstrapToken): string {
  return `${id}.${secret}`;
}

/** Drawn without favouring any letter: bytes past the last whole multiple of the alphabet are thrown away. */
export function newBootstrapToken(world: World): BootstrapToken {
  const draw = (length: number): string => {
    let text = '';
    while (text.length < length) {
      for (const byte of world.random.bytes(length)) if (byte < 252 && text.length < length) text += alphabet[byte % alphabet.length] ?? '';
    }
    return text;
  };
  return { id: draw(6), secret: draw(16) };
}

export interface TokenOptions {
  /** 0 for a token without an end. */
  readonly ttlMs: number;
  readonly description?: string;
}

export async function createBootstrapToken(client: Client, world: World, token: BootstrapToken, options: TokenOptions): Promise<void> {
  await client
    .resource(Secret)
    .namespace('kube-system')
    .create({
      metadata: { name: `bootstrap-token-${token.id}` },
      type: 'bootstrap.kubernetes.io/token',
      stringData: {
        'token-id': token.id,
        'token-secret': token.secret,
        'usage-bootstrap-authentication': 'true',
        'usage-bootstrap-signing': 'true',
        'auth-extra-groups': joiningGroup,
        ...(options.ttlMs > 0 && { expiration: timestamp(world.clock.now() + options.ttlMs) }),
        ...(options.description !== undefined && { description: options.description }),
      },
    });
}

export interface ListedToken {
  readonly token: string;
  /** As written; '' for a token without an end. */
  readonly expiration: string;
  readonly description: string;
}

export async function listBootstrapTokens(client: Client): Promise<ListedToken[]> {
  const { items } = await client.resource(Secret).namespace('kube-system').list({ fieldSelector: 'type=bootstrap.kubernetes.io/token' });
  return items.map(({ data }) => {
    const field = (name: string): string => Buffer.from(data?.[name] ?? '', 'base64').toString();
    return { token: `${field('token-id')}.${field('token-secret')}`, expiration: field('expiration'), description: field('description') };
  });
}

export async function deleteBootstrapToken(client: Client, id: string): Promise<void> {
  await client.resource(Secret).namespace('kube-system').delete(`bootstrap-token-${id}`);
}
