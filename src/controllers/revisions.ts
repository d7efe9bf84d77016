/**
 * The history of a template as controller revisions, which stateful sets and daemon sets keep: one revision per different template, numbered
 * upwards, the newest being the one wanted now. Upstream's `pkg/controller/history`.
 */
import type { Kind } from '../api/kind.ts';
import { ControllerRevision } from '../api/kinds.ts';
import type { V1PodTemplateSpec } from '../api/types.ts';
import type { Client } from '../client/client.ts';
import { equal } from '../machinery/equal.ts';
import { isReason } from '../machinery/errors.ts';
import { podTemplateHash } from '../machinery/hash.ts';
import { type Draft, type KubeObject, type NamespacedObjectMeta, controllerOf } from '../machinery/object.ts';
import { ignoreGone } from './errors.ts';
import { controllerReference } from './pods.ts';

/** On pods and revisions: which revision a pod was made from. */
export const revisionHashLabel = 'controller-revision-hash';

export interface Revisioned extends KubeObject {
  metadata: NamespacedObjectMeta;
  spec: { template: V1PodTemplateSpec; revisionHistoryLimit?: number };
}

export interface RevisionPlan {
  /** The revision of the present template: one there is, or one to be made. */
  readonly create?: Draft<ControllerRevision>;
  readonly current?: ControllerRevision;
  /** The number `current` must get, when the template was taken back to an earlier one. */
  readonly renumber?: number;
  /** Others with the same template. */
  readonly duplicates: readonly ControllerRevision[];
}

/** What a revision holds: a strategic merge patch that brings the template back, as `kubectl rollout undo` sends it. */
export function revisionData(template: V1PodTemplateSpec): object {
  return { spec: { template: { ...template, $patch: 'replace' } } };
}

export function planRevisions(
  owner: Revisioned,
  revisions: readonly ControllerRevision[],
  collisionCount: number | undefined,
  hashLabel: string,
): RevisionPlan {
  const data = revisionData(owner.spec.template);
  const highest = revisions.reduce((most, { revision }) => Math.max(most, revision), 0);
  const alike = revisions.filter((revision) => equal(revision.data, data)).sort(newestFirst);
  const [current, ...duplicates] = alike;
  if (current) {
    const others = revisions.reduce((most, revision) => (alike.includes(revision) ? most : Math.max(most, revision.revision)), 0);
    return { current, duplicates, ...(current.revision <= others && { renumber: highest + 1 }) };
  }
  const hash = podTemplateHash(data, collisionCount);
  const { namespace, name, annotations } = owner.metadata;
  const create: Draft<ControllerRevision> = {
    metadata: {
      name: `${name}-${hash}`,
      namespace,
      labels: { ...owner.spec.template.metadata?.labels, [hashLabel]: hash },
      ...(annotations && { annotations: { ...annotations } }),
      ownerReferences: [controllerReference(owner)],
    },
    data,
    revision: highest + 1,
  };
  return { create, duplicates: [] };
}

function newestFirst(a: ControllerRevision, b: ControllerRevision): number {
  return b.revision - a.revision || Date.parse(a.metadata.creationTimestamp) - Date.parse(b.metadata.creationTimestamp);
}

/** Another template hashes to the same name: the owner's collision count must grow. */
export class HashCollision extends Error {}

/** Writes the plan down and answers the revision of the present template. */
export async function carryOutRevisions(client: Client, owner: Revisioned, plan: RevisionPlan): Promise<ControllerRevision> {
  const revisions = client.resource(ControllerRevision).namespace(owner.metadata.namespace);
  if (plan.create) {
    try {
      return await revisions.create(plan.create);
    } catch (error) {
      if (!isReason(error, 'AlreadyExists')) throw error;
      const name = plan.create.metadata.name ?? '';
      const live = await revisions.get(name);
      if (controllerOf(live)?.uid === owner.metadata.uid && equal(live.data, plan.create.data)) return live;
      throw new HashCollision(`controller revision "${name}" is of another template`);
    }
  }
  if (!plan.current) throw new Error('a plan for revisions either makes one or names one');
  if (plan.renumber === undefined) return plan.current;
  return revisions.update({ ...plan.current, revision: plan.renumber });
}

/** The oldest revisions beyond the limit that no pod and no status names any more. `inUse` are names or hashes. */
export function revisionsToForget(
  revisions: readonly ControllerRevision[],
  limit: number,
  inUse: (revision: ControllerRevision) => boolean,
): readonly ControllerRevision[] {
  const spare = revisions.filter((revision) => !inUse(revision)).sort((a, b) => a.revision - b.revision);
  return spare.slice(0, Math.max(0, spare.length - limit));
}

export async function forgetRevisions(client: Client, revisions: readonly ControllerRevision[]): Promise<void> {
  await Promise.all(
    revisions.map(({ metadata: { namespace, name, uid } }) =>
      client.resource(ControllerRevision).namespace(namespace).delete(name, { preconditions: { uid } }).catch(ignoreGone),
    ),
  );
}

/** The template a revision brings back; undefined when it holds none. */
export function templateOf(revision: ControllerRevision): V1PodTemplateSpec | undefined {
  const data = revision.data as { spec?: { template?: V1PodTemplateSpec & { $patch?: string } } } | undefined;
  if (!data?.spec?.template) return undefined;
  const { $patch: _, ...template } = data.spec.template;
  return template;
}

export function watchesRevisionsOf<T extends Revisioned>(kind: Kind<T>, revision: ControllerRevision): string | undefined {
  const owner = controllerOf(revision);
  return owner?.kind === kind.kind ? `${revision.metadata.namespace}/${owner.name}` : undefined;
}
