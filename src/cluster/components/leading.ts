/** One of several alike works, the others wait: `--leader-elect` and its companions, as upstream's components have them. */
import { hostname } from 'node:os';
import type { Client } from '../../client/client.ts';
import { startLeaderElection } from '../../client/leader-election.ts';
import { ClusterError } from '../config.ts';
import type { Running } from './component.ts';

export interface LeaderFlags {
  readonly leaderElect: boolean;
  readonly leaderElectLeaseDuration: number;
  readonly leaderElectRenewDeadline: number;
  readonly leaderElectRetryPeriod: number;
  readonly leaderElectResourceName: string;
  readonly leaderElectResourceNamespace: string;
}

export interface Leading {
  isLeader(): boolean;
}

/**
 * Starts the work when we lead, or at once without an election. Work that ends does so before the lease is given back, so that no two work at a time;
 * a lease that is lost ends the process, as upstream.
 */
export function whenLeading(flags: LeaderFlags, client: Client, running: Running, work: () => void): Leading {
  const { world, closers, fail } = running;
  if (!flags.leaderElect) {
    work();
    return { isLeader: () => true };
  }
  const { leaderElectLeaseDuration: leaseDurationMs, leaderElectRenewDeadline: renewDeadlineMs, leaderElectRetryPeriod: retryPeriodMs } = flags;
  if (leaseDurationMs <= renewDeadlineMs) throw new ClusterError('--leader-elect-lease-duration must be longer than --leader-elect-renew-deadline');
  if (renewDeadlineMs <= retryPeriodMs * 1.2) {
    throw new ClusterError('--leader-elect-renew-deadline must be longer than 1.2 times --leader-elect-retry-period');
  }
  let closing = false;
  const election = startLeaderElection(client, world, {
    name: flags.leaderElectResourceName,
    namespace: flags.leaderElectResourceNamespace,
    identity: `${hostname()}_${world.random.uid()}`,
    leaseDurationMs,
    renewDeadlineMs,
    retryPeriodMs,
    onLeading: work,
    onLost: () => {
      if (!closing) fail(new ClusterError('the leader election was lost: another leads, or the API server could not be reached in time'));
    },
    onNewLeader: (identity) => world.log.info('the leader is', { identity }),
  });
  // Closed after the work, which registers itself later and is closed earlier.
  closers.push(() => {
    closing = true;
    return election.close();
  });
  return election;
}
