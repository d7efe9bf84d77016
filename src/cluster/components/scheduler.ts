/** `k8ts kube-scheduler`: the scheduler alone. */
import { labelText } from '../../machinery/exposition.ts';
import type { HealthCheck } from '../../apiserver/http/health.ts';
import { type Paths, jsonAnswer } from '../../apiserver/http/paths.ts';
import { createEventRecorder } from '../../client/events.ts';
import { createInformers } from '../../client/informers.ts';
import { ConfigurationError, defaultConfiguration, parseConfiguration, type SchedulerConfiguration } from '../../scheduler/config/configuration.ts';
import { notFoundPath } from '../../machinery/errors.ts';
import { checkConfiguration, type Scheduler, startScheduler } from '../../scheduler/scheduler.ts';
import { ClusterError } from '../config.ts';
import { podSchedulingOf } from '../pod-scheduling.ts';
import { clientOf, type CommonFlags, readConnection, runComponent } from './component.ts';
import { readFlagFile } from './files.ts';
import { type LeaderFlags, whenLeading } from './leading.ts';
import { SchedulerMetrics } from './scheduler-metrics.ts';
import { type SecurePortFlags, serveSecurely } from './secure-port.ts';

export interface SchedulerFlags extends CommonFlags, LeaderFlags, SecurePortFlags {
  readonly kubeconfig: string;
  /** A KubeSchedulerConfiguration. */
  readonly config?: string;
}

const component = 'kube-scheduler';

export function runScheduler(flags: SchedulerFlags): Promise<void> {
  return runComponent(component, flags, async (running) => {
    const { world, closers } = running;
    const client = clientOf(readConnection(flags.kubeconfig, component), closers);
    const events = createEventRecorder(client, world, { component: 'default-scheduler' });
    closers.push(() => events.close());
    // Before it leads: a file that makes no sense is told of at once.
    const configuration = readSchedulerConfiguration(flags.config, (read) => checkConfiguration(read, { world, client, events }));
    const metrics = new SchedulerMetrics();
    let scheduler: Scheduler | undefined;
    let filled = false;
    let isLeader = (): boolean => false;
    const checks: HealthCheck[] = [
      { name: 'ping', failure: () => undefined },
      { name: 'leaderElection', failure: () => undefined },
    ];
    await serveSecurely(flags, client, running, {
      checks,
      // One that waits for its turn to lead is as ready as can be.
      readyChecks: [...checks, { name: 'informer-sync', failure: () => (scheduler === undefined || filled ? undefined : 'caches are filling') }],
      metrics(out) {
        out.single('leader_election_master_status', 'gauge', 'Whether this one leads.', isLeader() ? 1 : 0, labelText({ name: component }));
        metrics.render(out, scheduler);
      },
      more: (paths) => addExplanations(paths, () => scheduler),
    });
    const leading = whenLeading(flags, client, running, () => {
      const informers = createInformers(client, world);
      const started = startScheduler({ world, client, informers, events, configuration, observer: metrics });
      scheduler = started;
      // Without an abort nobody waits for a scheduler whose caches were never filled.
      started.ready.then(
        () => (filled = true),
        () => undefined,
      );
      closers.push(() => {
        started.close();
        informers.close();
      });
    });
    isLeader = () => leading.isLeader();
  });
}

const pods = '/apis/k8ts.io/v1/namespaces/';

/** The same path as the API server of `k8ts up` has it; here it is a path like any other to authorization. See docs/scheduling.md. */
function addExplanations(paths: Paths, current: () => Scheduler | undefined): void {
  paths.add(pods, ({ path }) => {
    const [namespace, resource, name, subresource, ...rest] = path.slice(pods.length).split('/');
    if (resource !== 'pods' || subresource !== 'scheduling' || rest.length > 0 || !namespace || !name) throw notFoundPath();
    return jsonAnswer(podSchedulingOf(current(), namespace, name));
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
