/** Profiles and snapshots for the scheduler's tests: real plugins, no API server behind them. */
import type { Node, Pod } from '../api/kinds.ts';
import type { EventRecorder } from '../client/events.ts';
import { createClient } from '../client/typed-client.ts';
import type { KubeObject } from '../machinery/object.ts';
import { simulatedWorld } from '../world/simulated.ts';
import { buildProfiles } from './build-profile.ts';
import { listedObjects } from './cluster-objects.ts';
import { ClusterState } from './cluster-state.ts';
import { defaultConfiguration, readConfiguration } from './config/configuration.ts';
import type { PluginDefinition } from './plugin.ts';
import { defaultPlugins } from './plugins.ts';
import { podInfo } from './pod-info.ts';
import type { Profile } from './profile.ts';
import { type Decision, schedule } from './schedule.ts';
import { ChangeWaits, PermitWaits } from './waiting.ts';

const client = createClient({
  shared: true,
  request: ({ method, path }) => Promise.reject(new Error(`nobody answers ${method} ${path}`)),
  watch: ({ path }) => {
    throw new Error(`nobody answers ${path}`);
  },
  close: () => undefined,
});
const events: EventRecorder = { event: () => undefined, flushed: () => Promise.resolve(), close: () => undefined };

/** `profile` is one profile of a KubeSchedulerConfiguration. */
export function testProfile(
  profile?: object,
  state: ClusterState = new ClusterState(),
  plugins: readonly PluginDefinition[] = defaultPlugins,
): Profile {
  const configuration =
    profile === undefined
      ? defaultConfiguration
      : readConfiguration({ apiVersion: 'kubescheduler.config.k8s.io/v1', kind: 'KubeSchedulerConfiguration', profiles: [profile] });
  const world = simulatedWorld(1);
  const [built] = buildProfiles(configuration, plugins, (schedulerName) => ({
    world,
    client,
    events,
    schedulerName,
    snapshot: state,
    waiting: new PermitWaits(world.clock),
    changes: new ChangeWaits(world.clock),
  }));
  if (built === undefined) throw new Error('there is no profile');
  return built;
}

export interface Situation {
  readonly nodes: readonly Node[];
  /** Already on a node. */
  readonly placed?: readonly (readonly [Pod, string])[];
  /** Services, claims, budgets and so on. */
  readonly objects?: readonly KubeObject[];
}

export function stateOf({ nodes, placed = [], objects = [] }: Situation): ClusterState {
  const state = new ClusterState(listedObjects(objects));
  for (const node of nodes) state.setNode(node);
  for (const [pod, nodeName] of placed) state.setPod({ ...pod, spec: { ...pod.spec, nodeName } });
  return state;
}

export function decide(situation: Situation, pod: Pod, profile?: object, chance = 0): Decision {
  const state = stateOf(situation);
  return schedule(state, podInfo(pod), testProfile(profile, state), { chance, start: 0 });
}

/** A node's name, or the message of a refusal without what plugins that tried to help said. */
export function outcomeOf(decision: Decision): string {
  return decision.type === 'placed'
    ? decision.nodeName
    : decision.message.replace(/(?<=\.) (no new claims|still not|deallocation|preemption:).*$/s, '');
}
