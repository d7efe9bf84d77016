/** `k8ts kube-controller-manager`: the controllers alone, each with the identity of its own service account. */
import type { Client } from '../../client/client.ts';
import type { HttpTransportOptions } from '../../client/http.ts';
import { createInformers } from '../../client/informers.ts';
import { serviceAccountTokens } from '../../client/service-account-token.ts';
import { allControllers } from '../../controllers/all-controllers.ts';
import type { ControllerOptions } from '../../controllers/controller.ts';
import { selectControllers, startControllers } from '../../controllers/manager.ts';
import { checkedPool, ClusterError } from '../config.ts';
import { clientOf, type Closers, type CommonFlags, readConnection, runComponent } from './component.ts';
import { readCertificates, readPair } from './files.ts';
import { type LeaderFlags, whenLeading } from './leading.ts';
import type { World } from '../../world/world.ts';

export interface ControllerManagerFlags extends CommonFlags, LeaderFlags {
  readonly kubeconfig: string;
  readonly controllers: string;
  readonly clusterCidr: string;
  readonly rootCaFile?: string;
  readonly useServiceAccountCredentials: boolean;
  readonly concurrency: number;
  readonly loadBalancerPool: readonly string[];
  readonly clusterSigningCertFile?: string;
  readonly clusterSigningKeyFile?: string;
  readonly clusterSigningDuration: number;
}

export function runControllerManager(flags: ControllerManagerFlags): Promise<void> {
  return runComponent('kube-controller-manager', flags, (running) => {
    const { world, closers } = running;
    const connection = readConnection(flags.kubeconfig, 'kube-controller-manager');
    const client = clientOf(connection, closers);
    const options = {
      clusterCidrs: flags.clusterCidr.split(','),
      loadBalancerPool: checkedPool(flags.loadBalancerPool),
      signingDurationMs: flags.clusterSigningDuration,
      ...signingAuthority(flags),
      ...(flags.rootCaFile !== undefined && { rootCa: readCertificates('--root-ca-file', flags.rootCaFile) }),
    };
    try {
      selectControllers(flags.controllers, allControllers);
    } catch (error) {
      throw new ClusterError(`--controllers: ${error instanceof Error ? error.message : String(error)}`);
    }
    whenLeading(flags, client, running, () => {
      const informers = createInformers(client, world);
      closers.push(() => informers.close());
      const clientFor = (user: string): Client =>
        flags.useServiceAccountCredentials ? accountClient(user, connection, client, world, closers) : client;
      const controllers = startControllers({
        world,
        informers,
        clientFor,
        controllers: flags.controllers,
        concurrency: flags.concurrency,
        options,
      });
      closers.push(() => controllers.close());
    });
  });
}

function signingAuthority({ clusterSigningCertFile, clusterSigningKeyFile }: ControllerManagerFlags): Partial<ControllerOptions> {
  const [certificateFlag, keyFlag] = ['--cluster-signing-cert-file', '--cluster-signing-key-file'];
  if (clusterSigningCertFile === undefined && clusterSigningKeyFile === undefined) return {};
  if (clusterSigningCertFile === undefined || clusterSigningKeyFile === undefined)
    throw new ClusterError(`${certificateFlag} and ${keyFlag} go together`);
  return { signingAuthority: readPair(certificateFlag, clusterSigningCertFile, keyFlag, clusterSigningKeyFile) };
}

/** A client that shows a token of the service account `user` names, where the manager's own would show its certificate. */
function accountClient(user: string, connection: HttpTransportOptions, manager: Client, world: World, closers: Closers): Client {
  const [, , namespace = '', name = ''] = user.split(':');
  const { certificate: _certificate, key: _key, token: _token, tokenFile: _tokenFile, ...place } = connection;
  const userAgent = `kube-controller-manager/${name}`;
  return clientOf({ ...place, userAgent, tokens: serviceAccountTokens(manager, world, namespace, name) }, closers);
}
