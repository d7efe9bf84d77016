/** `k8ts token …`: bootstrap tokens, and the whole command a machine joins with. kubeadm's `token`. */
import {
  bootstrapTokenText,
  createBootstrapToken,
  deleteBootstrapToken,
  listBootstrapTokens,
  newBootstrapToken,
  parseBootstrapToken,
} from '../../kubeadm/bootstrap-token.ts';
import { publicKeyHash } from '../../kubeadm/discovery.ts';
import { isReason } from '../../machinery/errors.ts';
import type { World } from '../../world/world.ts';
import { advertiseAddress, type ClusterConfig, ClusterError } from '../config.ts';
import { clusterJoinSupport } from './cluster-join-support.ts';
import { withCluster } from './node-commands.ts';

export interface TokenFlags {
  /** 0 for ever. */
  readonly ttl: number;
  readonly description?: string;
  readonly printJoinCommand?: boolean;
}

type Say = (line: string) => void;

export async function createToken(dataDir: string, text: string | undefined, flags: TokenFlags, world: World, say: Say): Promise<void> {
  const token = text === undefined ? newBootstrapToken(world) : parseBootstrapToken(text);
  if (!token) throw new ClusterError(`${text}: a token looks like abcdef.0123456789abcdef`);
  await withCluster(dataDir, world, say, async ({ config, pki, client }) => {
    await clusterJoinSupport(config, pki, client);
    const { ttl: ttlMs, description } = flags;
    await createBootstrapToken(client, world, token, { ttlMs, ...(description !== undefined && { description }) }).catch((error: unknown) => {
      if (isReason(error, 'AlreadyExists'))
        throw new ClusterError(`there is a token ${token.id} already: k8ts token delete ${token.id} takes it away`);
      throw error;
    });
    const proof = bootstrapTokenText(token);
    if (flags.printJoinCommand === true) refuseHidden(config);
    const server = `https://${advertiseAddress(config)}:${config.port}`;
    say(
      flags.printJoinCommand === true
        ? `k8ts join ${server} --token ${proof} --discovery-token-ca-cert-hash ${publicKeyHash(pki.ca.certificate)}`
        : proof,
    );
  });
}

/** The API server may say of itself that it is where only nodes on this host reach it: pods on a machine elsewhere would look for it there, too. */
function refuseHidden({ advertise, nodes, nodeIp, dataDir }: ClusterConfig): void {
  if (advertise !== undefined || nodes === undefined) return;
  throw new ClusterError(
    `the API server of the cluster in ${dataDir} is known at an address of this host alone; for machines elsewhere: k8ts down, then k8ts up --advertise-address ${nodeIp}`,
  );
}

export async function listTokens(dataDir: string, world: World, say: Say): Promise<void> {
  await withCluster(dataDir, world, say, async ({ client }) => {
    say(`${'TOKEN'.padEnd(26)}${'EXPIRES'.padEnd(24)}DESCRIPTION`);
    for (const { token, expiration, description } of await listBootstrapTokens(client)) {
      say(`${token.padEnd(26)}${(expiration === '' ? '<forever>' : expiration).padEnd(24)}${description === '' ? '<none>' : description}`);
    }
  });
}

export async function deleteToken(dataDir: string, text: string, world: World, say: Say): Promise<void> {
  const id = parseBootstrapToken(text)?.id ?? text;
  if (!/^[a-z0-9]{6}$/.test(id)) throw new ClusterError(`${text}: give a token, or the six characters before its dot`);
  await withCluster(dataDir, world, say, async ({ client }) => {
    await deleteBootstrapToken(client, id).catch((error: unknown) => {
      if (isReason(error, 'NotFound')) throw new ClusterError(`there is no token ${id}`);
      throw error;
    });
    say(`The token ${id} is gone.`);
  });
}
