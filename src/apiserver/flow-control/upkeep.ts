/**
 * Keeps the flow control objects in order: each flow schema says in its status whether its priority level is there (condition `Dangling`), and the two
 * schemas and levels no cluster may be without come back when somebody deletes them.
 */
import { apiVersionOf } from '../../api/kind.ts';
import { FlowSchema, PriorityLevelConfiguration } from '../../api/kinds.ts';
import type { V1FlowSchemaCondition } from '../../api/types.ts';
import { isReason } from '../../machinery/errors.ts';
import { timestamp, type World } from '../../world/world.ts';
import { askSelf } from '../own-requests.ts';
import type { Verbs } from '../verbs.ts';

export interface FlowControlUpkeep {
  /** Resolves when everything that was out of order is written. */
  settled(): Promise<void>;
  close(): void;
}

/** `restore` writes the mandatory objects that are missing. */
export function flowControlUpkeep(world: World, verbs: Verbs, restore: () => Promise<void>): FlowControlUpkeep {
  const log = world.log.child('flow-control');
  let running: Promise<void> | undefined;
  let again = false;
  let closed = false;
  const pass = async (): Promise<void> => {
    do {
      again = false;
      if (isMandatoryMissing(verbs)) await restore();
      await Promise.all(verbs.objects.list(FlowSchema).map((schema) => writeCondition(world, verbs, schema)));
    } while (again && !closed);
  };
  const wake = (): void => {
    if (closed) return;
    again = true;
    // In a turn of its own: whoever made the change is in the middle of it.
    running ??= Promise.resolve()
      .then(pass)
      .catch((error: unknown) => log.warn('flow schemas could not be kept in order', { error: String(error) }))
      .finally(() => {
        running = undefined;
      });
  };
  verbs.observe(FlowSchema, (current, previous) => {
    if (current === undefined || previous === undefined || current.object.metadata.generation !== previous.object.metadata.generation) wake();
  });
  verbs.observe(PriorityLevelConfiguration, (current, previous) => {
    if (current === undefined || previous === undefined) wake();
  });
  wake();
  return {
    async settled() {
      while (running !== undefined) await running;
    },
    close() {
      closed = true;
    },
  };
}

const mandatory = ['exempt', 'catch-all'];

function isMandatoryMissing({ objects }: Verbs): boolean {
  return mandatory.some(
    (name) => objects.get(FlowSchema, undefined, name) === undefined || objects.get(PriorityLevelConfiguration, undefined, name) === undefined,
  );
}

/** In whose name conditions are written. */
export const conditionWriter = 'api-priority-and-fairness-config-consumer-v1';

/** Whether a schema is without its level; the time since when belongs to it. */
export function levelCondition(level: string, isThere: boolean): V1FlowSchemaCondition {
  const what = isThere ? 'and it exists' : 'but there is no such object';
  const message = `This FlowSchema references the PriorityLevelConfiguration object named ${JSON.stringify(level)} ${what}`;
  return { type: 'Dangling', status: isThere ? 'False' : 'True', reason: isThere ? 'Found' : 'NotFound', message };
}

/** What a schema's condition has to be; undefined where it is so already. */
export function danglingCondition({ spec, status }: FlowSchema, isLevelThere: boolean, nowMs: number): V1FlowSchemaCondition | undefined {
  const wanted = levelCondition(spec.priorityLevelConfiguration.name, isLevelThere);
  const present = status.conditions?.find(({ type }) => type === wanted.type);
  const since = present !== undefined && present.status === wanted.status ? present.lastTransitionTime : undefined;
  if (since !== undefined && present?.message === wanted.message) return undefined;
  return { ...wanted, lastTransitionTime: since ?? timestamp(nowMs) };
}

async function writeCondition(world: World, verbs: Verbs, schema: FlowSchema): Promise<void> {
  const level = verbs.objects.get(PriorityLevelConfiguration, undefined, schema.spec.priorityLevelConfiguration.name);
  const condition = danglingCondition(schema, level !== undefined, world.clock.now());
  if (condition === undefined) return;
  const { name, resourceVersion } = schema.metadata;
  const conditions = [...(schema.status.conditions ?? []).filter(({ type }) => type !== 'Dangling'), condition];
  await askSelf(verbs, 'patch', FlowSchema, {
    name,
    subresource: 'status',
    query: new URLSearchParams({ fieldManager: conditionWriter }),
    body: { apiVersion: apiVersionOf(FlowSchema), kind: FlowSchema.kind, metadata: { resourceVersion }, status: { conditions } },
    contentType: 'application/merge-patch+json',
  }).catch((error: unknown) => {
    // It changed or went meanwhile: that is an event of its own.
    if (!isReason(error, 'Conflict') && !isReason(error, 'NotFound')) throw error;
  });
}
