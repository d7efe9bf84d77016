/** `k8ts kube-controller-manager`: the controllers alone, each with the identity of its own service account. */
import type { Client } from '../../client/client.ts';
import type { HealthCheck } from '../../apiserver/http/health.ts';
import { labelText } from '../../machinery/exposition.ts';
import type { HttpTransportOptions } from '../../client/http.ts';
import { createInformers } from '../../client/informers.ts';
import { serviceAccountTokens } from '../../client/service-account-token.ts';
import { allControllers } from '../../controllers/all-controllers.ts';
import { type ControllerOptions, defaultOptions } from '../../controllers/controller.ts';
import { type Controllers, managerUser, selectControllers, startControllers } from '../../controllers/manager.ts';
import { checkedPool, ClusterError } from '../config.ts';
import { emptyTree, removeTree } from '../remove-tree.ts';
import { clientOf, type Closers, type CommonFlags, readConnection, runComponent } from './component.ts';
import { concurrencyFlags, type ConcurrencyFlags } from './concurrency-flags.ts';
import { readCertificates, readSigningKey } from './files.ts';
import { type LeaderFlags, whenLeading } from './leading.ts';
import { QueueMetrics } from './queue-metrics.ts';
import { type SecurePortFlags, serveSecurely } from './secure-port.ts';
import { type SigningFlags, signingOf } from './signing-flags.ts';
import { tuningOf } from './tuning.ts';
import type { TuningFlags } from './tuning-flags.ts';
import type { World } from '../../world/world.ts';

export interface ControllerManagerFlags extends CommonFlags, LeaderFlags, SecurePortFlags, ConcurrencyFlags, TuningFlags, SigningFlags {
  readonly kubeconfig: string;
  readonly controllers: string;
  readonly allocateNodeCidrs: boolean;
  readonly clusterCidr: string;
  readonly nodeCidrMaskSize?: number;
  readonly nodeCidrMaskSizeIpv4?: number;
  readonly nodeCidrMaskSizeIpv6?: number;
  readonly nodeMonitorGracePeriod: number;
  readonly terminatedPodGcThreshold: number;
  readonly rootCaFile?: string;
  readonly serviceAccountPrivateKeyFile?: string;
  readonly useServiceAccountCredentials: boolean;
  readonly concurrency: number;
  readonly loadBalancerPool: readonly string[];
  readonly clusterSigningDuration: number;
}

const name = 'kube-controller-manager';

export function runControllerManager(flags: ControllerManagerFlags): Promise<void> {
  return runComponent(name, flags, async (running) => {
    const { world, closers } = running;
    const connection = readConnection(flags.kubeconfig, name);
    const client = clientOf(connection, closers);
    const options = optionsOf(flags);
    const chosen = chosenControllers(flags);
    const queues = new QueueMetrics(world.clock);
    let controllers: Controllers | undefined;
    const checks: HealthCheck[] = [
      { name: 'ping', failure: () => undefined },
      { name: 'leaderElection', failure: () => undefined },
      // One that waits for its turn to lead is as well as one that leads.
      ...chosen.map((controller): HealthCheck => ({ name: controller, failure: () => failureOf(controllers, controller) })),
    ];
    let isLeader = (): boolean => false;
    await serveSecurely(flags, client, running, {
      checks,
      metrics(out) {
        out.single('leader_election_master_status', 'gauge', 'Whether this one leads.', isLeader() ? 1 : 0, labelText({ name }));
        out.family('running_managed_controllers', 'gauge', 'Controllers that run here.');
        for (const controller of controllers?.health() ?? [])
          if (controller.started) out.value('running_managed_controllers', labelText({ manager: name, name: controller.name }), 1);
        queues.render(out);
      },
    });
    const leading = whenLeading(flags, client, running, () => {
      const informers = createInformers(client, world);
      closers.push(() => informers.close());
      const clientFor = (user: string): Client =>
        flags.useServiceAccountCredentials && user !== managerUser ? accountClient(user, connection, client, world, closers) : client;
      controllers = startControllers({
        world,
        informers,
        clientFor,
        controllers: flags.controllers,
        concurrency: flags.concurrency,
        concurrencyOf: Object.fromEntries(concurrencyFlags.map(({ field, controller }) => [controller, flags[field]])),
        observe: (controller) => queues.observe(controller),
        options,
      });
      const { close } = controllers;
      closers.push(() => close());
    });
    isLeader = () => leading.isLeader();
  });
}

function optionsOf(flags: ControllerManagerFlags): Partial<ControllerOptions> {
  return {
    ...tuningOf(flags),
    clusterCidrs: flags.allocateNodeCidrs ? flags.clusterCidr.split(',') : [],
    nodeCidrMaskSize: flags.nodeCidrMaskSizeIpv4 ?? flags.nodeCidrMaskSize ?? defaultOptions.nodeCidrMaskSize,
    nodeCidrMaskSizeV6: flags.nodeCidrMaskSizeIpv6 ?? defaultOptions.nodeCidrMaskSizeV6,
    nodeMonitorGracePeriodMs: flags.nodeMonitorGracePeriod,
    terminatedPodThreshold: flags.terminatedPodGcThreshold,
    loadBalancerPool: checkedPool(flags.loadBalancerPool),
    signingDurationMs: flags.clusterSigningDuration,
    removePath: removeTree,
    emptyPath: emptyTree,
    ...signingOf(flags),
    ...(flags.rootCaFile !== undefined && { rootCa: readCertificates('--root-ca-file', flags.rootCaFile) }),
    ...(flags.serviceAccountPrivateKeyFile !== undefined && {
      serviceAccountKey: readSigningKey(flags.serviceAccountPrivateKeyFile, '--service-account-private-key-file'),
    }),
  };
}

/** The names of those that will run; throws for a list that names one unknown. */
function chosenControllers({ controllers }: ControllerManagerFlags): string[] {
  try {
    return selectControllers(controllers, allControllers).map((controller) => controller.name);
  } catch (error) {
    throw new ClusterError(`--controllers: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** A controller that has begun works; before it leads, and while its caches fill, there is nothing wrong with it. */
function failureOf(controllers: Controllers | undefined, controller: string): string | undefined {
  const health = controllers?.health().find((one) => one.name === controller);
  return controllers !== undefined && health === undefined ? 'it does not run' : undefined;
}

/** A client that shows a token of the service account `user` names, where the manager's own would show its certificate. */
function accountClient(user: string, connection: HttpTransportOptions, manager: Client, world: World, closers: Closers): Client {
  const [, , namespace = '', name = ''] = user.split(':');
  const { certificate: _certificate, key: _key, token: _token, tokenFile: _tokenFile, ...place } = connection;
  const userAgent = `kube-controller-manager/${name}`;
  return clientOf({ ...place, userAgent, tokens: serviceAccountTokens(manager, world, namespace, name) }, closers);
}
