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
import { bodyTypeOf, decodeAs } from '../../registry/decoding.ts';
import type { Registry } from '../../registry/registry.ts';
import type { AdmissionPlugin, AdmissionRequest } from '../admission.ts';
import { denial, type ReviewAnswer } from './review.ts';
import { configuredWebhooks, isConcerned, type Webhook } from './webhook.ts';
import type { WebhookCaller } from './webhook-caller.ts';

/** Who could lock everybody out of mending it is not asked about itself. */
function concerns({ group, virtual }: Kind): boolean {
  return group !== 'admissionregistration.k8s.io' && !virtual;
}

/** `inTree` are the plugins that ran before: they look again at what webhooks have added. */
export function mutatingWebhooks(registry: Registry, caller: WebhookCaller, inTree: readonly AdmissionPlugin[]): AdmissionPlugin {
  const webhooks = configuredWebhooks(registry, MutatingWebhookConfiguration);
  return {
    name: 'MutatingAdmissionWebhook',
    concerns,
    admit(request) {
      const all = webhooks();
      if (all.length === 0 || !all.some((webhook) => isConcerned(webhook, request, registry))) return undefined;
      return mutate(registry, caller, request, all, inTree);
    },
  };
}

async function mutate(
  registry: Registry,
  caller: WebhookCaller,
  request: AdmissionRequest,
  webhooks: readonly Webhook[],
  inTree: readonly AdmissionPlugin[],
): Promise<void> {
  /** The object as each webhook left it. */
  const left = new Map<Webhook, unknown>();
  let changed = false;
  for (const webhook of webhooks) {
    // Judged by what those before made of the object.
    if (!isConcerned(webhook, request, registry)) continue;
    if (await askToChange(registry, caller, webhook, request)) changed = true;
    if (webhook.reinvoked) left.set(webhook, clone(request.object));
  }
  if (!changed) return;
  for (const plugin of inTree) {
    if (plugin.concerns?.(request.kind) === false) continue;
    const pending = plugin.admit?.(request);
    if (pending) await pending;
  }
  for (const [webhook, object] of left) {
    if (!equal(object, request.object) && isConcerned(webhook, request, registry)) await askToChange(registry, caller, webhook, request);
  }
}

/** Answers whether the webhook changed the object. */
async function askToChange(registry: Registry, caller: WebhookCaller, webhook: Webhook, request: AdmissionRequest): Promise<boolean> {
  const answer = await caller.ask(webhook, request);
  if (!answer) return false;
  take(answer, webhook, request);
  if (!answer.allowed) throw denial(webhook, answer);
  if (answer.patch === undefined || !request.object) return false;
  const before = clone(request.object);
  replaceContent(registry, webhook, request, answer.patch);
  return !equal(before, request.object);
}

function take({ warnings, auditAnnotations }: ReviewAnswer, { name }: Webhook, request: AdmissionRequest): void {
  request.warnings.push(...warnings);
  for (const [key, value] of Object.entries(auditAnnotations)) request.annotate?.(`${name}/${key}`, value);
}

/** Patches the object in place, through decoding and defaults as if a client had sent it. */
function replaceContent(registry: Registry, webhook: Webhook, request: AdmissionRequest, patch: unknown): void {
  const { object } = request;
  if (!object) return;
  const [version = '', group = ''] = object.apiVersion.split('/').toReversed();
  const served = registry.served(group, version, request.kind.resource);
  const { uid, namespace, resourceVersion } = object.metadata;
  let patched: typeof object;
  try {
    const result = applyJsonPatch(object, patch);
    patched = served ? decodeAs(result, bodyTypeOf(served), 'Ignore', []) : (result as typeof object);
  } catch (error) {
    throw internalError(`admission webhook ${JSON.stringify(webhook.name)}: ${error instanceof Error ? error.message : String(error)}`);
  }
  const { metadata } = patched;
  if (metadata.uid !== uid || metadata.namespace !== namespace || metadata.resourceVersion !== resourceVersion) {
    throw internalError(`admission webhook ${JSON.stringify(webhook.name)} attempted to change which object is written`);
  }
  // Parts the patch left alone are still the object's own; decoding and patching copy the others.
  const own = clone(patched);
  for (const field of Object.keys(object)) delete object[field];
  Object.assign(object, own);
  served?.kind.defaults?.(object);
}

export function validatingWebhooks(registry: Registry, caller: WebhookCaller): AdmissionPlugin {
  const webhooks = configuredWebhooks(registry, ValidatingWebhookConfiguration);
  return {
    name: 'ValidatingAdmissionWebhook',
    concerns,
    validate(request) {
      const all = webhooks();
      if (all.length === 0) return undefined;
      const concerned = all.filter((webhook) => isConcerned(webhook, request, registry));
      return concerned.length === 0 ? undefined : judge(caller, concerned, request);
    },
  };
}

/** All are asked at once; of several refusals the first webhook's is told. */
async function judge(caller: WebhookCaller, webhooks: readonly Webhook[], request: AdmissionRequest): Promise<void> {
  const answers = await Promise.allSettled(webhooks.map((webhook) => caller.ask(webhook, request)));
  for (const [index, webhook] of webhooks.entries()) {
    const answer = answers[index];
    if (answer?.status === 'rejected') throw answer.reason;
    if (!answer?.value) continue;
    take(answer.value, webhook, request);
    if (!answer.value.allowed) throw denial(webhook, answer.value);
  }
}
