/** `k8ts kube-scheduler`: the scheduler alone. */
import { createEventRecorder } from '../../client/events.ts';
import { createInformers } from '../../client/informers.ts';
import { ConfigurationError, defaultConfiguration, parseConfiguration, type SchedulerConfiguration } from '../../scheduler/config/configuration.ts';
import { checkConfiguration, startScheduler } from '../../scheduler/scheduler.ts';
import { ClusterError } from '../config.ts';
import { clientOf, type CommonFlags, readConnection, runComponent } from './component.ts';
import { readFlagFile } from './files.ts';
import { type LeaderFlags, whenLeading } from './leading.ts';

export interface SchedulerFlags extends CommonFlags, LeaderFlags {
  readonly kubeconfig: string;
  /** A KubeSchedulerConfiguration. */
  readonly config?: string;
}

export function runScheduler(flags: SchedulerFlags): Promise<void> {
  return runComponent('kube-scheduler', flags, (running) => {
    const { world, closers } = running;
    const client = clientOf(readConnection(flags.kubeconfig, 'kube-scheduler'), closers);
    const events = createEventRecorder(client, world, { component: 'default-scheduler' });
    closers.push(() => events.close());
    // Before it leads: a file that makes no sense is told of at once.
    const configuration = readSchedulerConfiguration(flags.config, (read) => checkConfiguration(read, { world, client, events }));
    whenLeading(flags, client, running, () => {
      const informers = createInformers(client, world);
      const scheduler = startScheduler({ world, client, informers, events, configuration });
      // Without an abort nobody waits for a scheduler whose caches were never filled.
      scheduler.ready.catch(() => undefined);
      closers.push(() => {
        scheduler.close();
        informers.close();
      });
    });
  });
}

/** Throws {@link ClusterError} naming file, field and reason. */
export function readSchedulerConfiguration(path: string | undefined, check: (configuration: SchedulerConfiguration) => void): SchedulerConfiguration {
  if (path === undefined) return defaultConfiguration;
  try {
    const configuration = parseConfiguration(readFlagFile('--config', path));
    check(configuration);
    return configuration;
  } catch (error) {
    throw error instanceof ConfigurationError ? new ClusterError(`--config ${path}: ${error.message}`) : error;
  }
}
