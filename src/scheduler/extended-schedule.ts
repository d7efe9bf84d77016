/** A scheduling cycle with extenders: the same steps as `schedule.ts`, with their servers asked in between. They wait on the network, so this is not pure. */
import { type Extender, maxExtenderScore } from './extender.ts';
import type { PodInfo } from './pod-info.ts';
import { maxScore } from './plugin.ts';
import type { Profile } from './profile.ts';
import { choose, type Decision, findNodes, type Found, type Refused, refused, scoreNodes, type Turn } from './schedule.ts';
import type { Snapshot } from './snapshot.ts';

export async function scheduleWithExtenders(snapshot: Snapshot, pod: PodInfo, profile: Profile, turn: Turn): Promise<Decision> {
  const extenders = profile.extenders.filter((extender) => extender.isInterestedIn(pod));
  const found = await filterBy(extenders, pod, findNodes(snapshot, pod, profile, turn));
  if (found.fitting.length === 0) {
    const decision = refused(snapshot, pod, profile, turn, found);
    return { ...decision, remedy: await agreedBy(extenders, pod, decision.remedy) };
  }
  const totals = scoreNodes(snapshot, pod, profile, found.fitting);
  await Promise.all(
    extenders.map(async ({ prioritize, weight }) => {
      // As upstream: an extender that cannot say what it prefers does not keep pods from being scheduled.
      const scores = await prioritize?.(pod, found.fitting).catch(() => undefined);
      for (const [index, { name }] of found.fitting.entries()) {
        totals[index] = (totals[index] ?? 0) + (scores?.get(name) ?? 0) * weight * (maxScore / maxExtenderScore);
      }
    }),
  );
  return choose(found, totals, turn);
}

async function filterBy(extenders: readonly Extender[], pod: PodInfo, found: Found): Promise<Found> {
  let { fitting } = found;
  for (const extender of extenders) {
    if (fitting.length === 0 || !extender.filter) continue;
    try {
      const before = new Map(fitting.map((node) => [node.name, node]));
      const { nodes, failed, failedForGood } = await extender.filter(pod, fitting);
      fitting = [...nodes];
      for (const [reasons, unresolvable] of [
        [failed, false],
        [failedForGood, true],
      ] as const) {
        for (const [name, reason] of reasons) {
          const node = before.get(name);
          if (node) found.refusals.set(node, { plugin: extender.name, refusal: { reasons: [reason], unresolvable } });
        }
      }
    } catch (error) {
      if (!extender.ignorable) throw error;
    }
  }
  return { ...found, fitting };
}

/** The remedy, among the candidates every extender agrees to. */
async function agreedBy(extenders: readonly Extender[], pod: PodInfo, remedy: Refused['remedy']): Promise<Refused['remedy']> {
  let candidates = remedy?.plan?.candidates;
  const asked = extenders.filter(({ preempt }) => preempt !== undefined);
  if (candidates === undefined || asked.length === 0) return remedy;
  for (const { preempt, ignorable } of asked) {
    try {
      candidates = (await preempt?.(pod, candidates)) ?? candidates;
    } catch (error) {
      if (!ignorable) throw error;
    }
  }
  const agreed = remedy?.plan?.among?.(candidates);
  return agreed && remedy && { ...agreed, plugin: remedy.plugin };
}
