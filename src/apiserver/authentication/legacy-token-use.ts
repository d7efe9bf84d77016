/**
 * Notes on Secrets when their tokens were last used, to the day, so that the cleaner finds those nobody needs. Upstream's legacy service account token
 * tracking; the ConfigMap that says since when notes are taken is written at the start.
 */
import { Secret } from '../../api/kinds.ts';
import { isReason } from '../../machinery/errors.ts';
import { timestamp, type World } from '../../world/world.ts';
import { askSelf } from '../own-requests.ts';
import type { Verbs } from '../verbs.ts';

export const legacyTokenTrackingName = 'kube-apiserver-legacy-service-account-token-tracking';
const lastUsedLabel = 'kubernetes.io/legacy-token-last-used';
/** Of `YYYY-MM-DD`. */
export const dayLength = 10;

export class LegacyTokenUse {
  readonly #world: World;
  readonly #verbs: Verbs;
  /** UIDs of Secrets whose note is being written. */
  readonly #writing = new Set<string>();

  constructor(world: World, verbs: Verbs) {
    this.#world = world;
    this.#verbs = verbs;
  }

  /** Writes beside the request that showed the token: it does not wait. */
  used({ metadata: { uid, namespace, name, labels } }: Secret): void {
    const today = timestamp(this.#world.clock.now()).slice(0, dayLength);
    if (labels?.[lastUsedLabel] === today || this.#writing.has(uid)) return;
    this.#writing.add(uid);
    const body = { metadata: { uid, labels: { [lastUsedLabel]: today } } };
    askSelf(this.#verbs, 'patch', Secret, { namespace, name, body, contentType: 'application/merge-patch+json' })
      .catch((error: unknown) => {
        // Gone, or another by now: nothing to note.
        if (isReason(error, 'NotFound', 'Conflict')) return;
        this.#world.log.warn('the use of a token could not be noted', { secret: `${namespace}/${name}`, error: String(error) });
      })
      .finally(() => this.#writing.delete(uid));
  }
}
