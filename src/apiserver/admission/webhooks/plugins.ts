/**
 * MutatingAdmissionWebhook and ValidatingAdmissionWebhook: servers outside that change writes, one after the other, and refuse them, all at once.
 * https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/
 */
import type { Kind } from '../../../api/kind.ts';
import { MutatingWebhookConfiguration, ValidatingWebhookConfiguration } from '../../../api/kinds.ts';
import { equal } from '../../../machinery/equal.ts';
import { internalError } from '../../../machinery/errors.ts';
import { clone } from '../../../machinery/clone.ts';
import { applyJsonPatch } from '../../../machinery/json-patch.ts';
import { PatchError } from '../../../machinery/patch-error.ts';
import type { Registry } from '../../registry/registry.ts';
import type { AdmissionPlugin, AdmissionRequest } from '../admission.ts';
import { denial, type ReviewAnswer } from './review.ts';
import { Rights } from '../expressions.ts';
import { matchedKind } from '../matching.ts';
import type { AuthorizerSource } from '../permission.ts';
import { ContentError, replaceContent, seenIn } from '../versions.ts';
import { concernedAs, configuredWebhooks, type Webhook } from './webhook.ts';
import type { WebhookCaller } from './webhook-caller.ts';

/** Who could lock everybody out of mending it is not asked about itself. */
function concerns({ group, virtual }: Kind): boolean {
  return group !== 'admissionregistration.k8s.io' && !virtual;
}

/** What webhooks are matched and asked with. */
export interface WebhookSources {
  readonly registry: Registry;
  readonly caller: WebhookCaller;
  readonly authorizer: AuthorizerSource;
}

/** `inTree` are the plugins that ran before: they look again at what webhooks have added. */
export function mutatingWebhooks(sources: WebhookSources, inTree: readonly AdmissionPlugin[]): AdmissionPlugin {
  const webhooks = configuredWebhooks(sources.registry, MutatingWebhookConfiguration);
  return {
    name: 'MutatingAdmissionWebhook',
    connections: true,
    concerns,
    admit(request) {
      const all = webhooks();
      // Conditions are looked at later, when those before have changed the object.
      if (!all.some(({ matcher }) => matchedKind(matcher, request, sources.registry))) return undefined;
      return mutate(sources, request, all, inTree);
    },
  };
}

async function mutate(
  sources: WebhookSources,
  request: AdmissionRequest,
  webhooks: readonly Webhook[],
  inTree: readonly AdmissionPlugin[],
): Promise<void> {
  /** The object as each webhook left it. */
  const left = new Map<Webhook, unknown>();
  const rights = new Rights(sources.authorizer, request.user);
  let changed = false;
  for (const webhook of webhooks) {
    const outcome = await askToChange(sources, webhook, request, rights);
    if (outcome === 'changed') changed = true;
    if (outcome !== 'not asked' && webhook.reinvoked) left.set(webhook, clone(request.object));
  }
  if (!changed) return;
  for (const plugin of inTree) {
    if (plugin.concerns?.(request.kind) === false || (request.operation === 'CONNECT' && plugin.connections !== true)) continue;
    const pending = plugin.admit?.(request);
    if (pending) await pending;
  }
  for (const [webhook, object] of left) {
    if (!equal(object, request.object)) await askToChange(sources, webhook, request, rights);
  }
}

/** Asks a webhook if the write, as those before have left it, is its business. */
async function askToChange(
  { registry, caller }: WebhookSources,
  webhook: Webhook,
  request: AdmissionRequest,
  rights: Rights,
): Promise<'not asked' | 'unchanged' | 'changed'> {
  const kind = await concernedAs(webhook, request, registry, rights);
  if (!kind) return 'not asked';
  const seen = await seenIn(registry, kind, request);
  const answer = await caller.ask(webhook, seen, 'admit');
  if (!answer) return 'unchanged';
  take(answer, webhook, request);
  if (!answer.allowed) throw denial(webhook, answer);
  if (answer.patch === undefined || !seen.object || !request.object) return 'unchanged';
  const before = clone(request.object);
  try {
    await replaceContent(registry, request, applyJsonPatch(seen.object, answer.patch));
  } catch (error) {
    if (!(error instanceof ContentError || error instanceof PatchError)) throw error;
    throw internalError(`admission webhook ${JSON.stringify(webhook.name)}: ${error.message}`);
  }
  return equal(before, request.object) ? 'unchanged' : 'changed';
}

function take({ warnings, auditAnnotations }: ReviewAnswer, { name }: Webhook, request: AdmissionRequest): void {
  request.warnings.push(...warnings);
  for (const [key, value] of Object.entries(auditAnnotations)) request.annotate?.(`${name}/${key}`, value);
}

export function validatingWebhooks(sources: WebhookSources): AdmissionPlugin {
  const { registry } = sources;
  const webhooks = configuredWebhooks(registry, ValidatingWebhookConfiguration);
  return {
    name: 'ValidatingAdmissionWebhook',
    connections: true,
    concerns,
    validate(request) {
      const matching = webhooks().filter(({ matcher }) => matchedKind(matcher, request, registry));
      return matching.length === 0 ? undefined : judge(sources, matching, request);
    },
  };
}

/** All are asked at once; of several refusals the first webhook's is told. */
async function judge({ registry, caller, authorizer }: WebhookSources, webhooks: readonly Webhook[], request: AdmissionRequest): Promise<void> {
  const rights = new Rights(authorizer, request.user);
  const ask = async (webhook: Webhook): Promise<ReviewAnswer | undefined> => {
    const kind = await concernedAs(webhook, request, registry, rights);
    return kind && caller.ask(webhook, await seenIn(registry, kind, request), 'validate');
  };
  const answers = await Promise.allSettled(webhooks.map(ask));
  for (const [index, webhook] of webhooks.entries()) {
    const answer = answers[index];
    if (answer?.status === 'rejected') throw answer.reason;
    if (!answer?.value) continue;
    take(answer.value, webhook, request);
    if (!answer.value.allowed) throw denial(webhook, answer.value);
  }
}
