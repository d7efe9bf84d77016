/** What the scheduler says about pods: events, under the name of the profile, and the condition on the pod itself. Saying never fails and never waits. */
import type { Client } from '../client/client.ts';
import { createEventRecorder, type EventRecorder } from '../client/events.ts';
import { isReason } from '../machinery/errors.ts';
import type { World } from '../world/world.ts';
import { defaultSchedulerName } from './config/configuration.ts';
import type { PodInfo } from './pod-info.ts';
import { type WaitingStatus, writeWaiting } from './pod-conditions.ts';

export class Reporter {
  private readonly world: World;
  private readonly client: Client;
  private readonly events: EventRecorder;
  private readonly recorders = new Map<string, EventRecorder>();
  private closed = false;

  /** `events` is the recorder of the default profile; others get their own. */
  constructor(world: World, client: Client, events: EventRecorder, profiles: readonly { readonly schedulerName: string }[]) {
    this.world = world;
    this.client = client;
    this.events = events;
    for (const { schedulerName } of profiles) {
      if (schedulerName !== defaultSchedulerName) this.recorders.set(schedulerName, createEventRecorder(client, world, { component: schedulerName }));
    }
  }

  recorderOf(schedulerName: string | undefined): EventRecorder {
    return this.recorders.get(schedulerName ?? '') ?? this.events;
  }

  scheduled({ pod }: PodInfo, nodeName: string): void {
    const { namespace, name } = pod.metadata;
    this.recorderOf(pod.spec.schedulerName).event(pod, 'Normal', 'Scheduled', `Successfully assigned ${namespace}/${name} to ${nodeName}`);
  }

  /** An attempt came to nothing: as an event, and on the pod. */
  failed(info: PodInfo, status: WaitingStatus): void {
    this.recorderOf(info.pod.spec.schedulerName).event(info.pod, 'Warning', 'FailedScheduling', status.message);
    this.waits(info, status);
  }

  /** On the pod only. */
  waits(info: PodInfo, status: WaitingStatus): void {
    writeWaiting(this.client, this.world, info, status).catch((error: unknown) => {
      if (this.closed || isReason(error, 'NotFound', 'Conflict')) return;
      this.world.log.child('scheduler').warn('pod condition not written', { pod: info.key, error: String(error) });
    });
  }

  close(): void {
    this.closed = true;
    for (const recorder of this.recorders.values()) recorder.close();
  }
}
