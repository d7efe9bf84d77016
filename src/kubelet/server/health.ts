/** `/healthz` and its parts, and the same as metrics on `/metrics/slis`. Who gets an answer at all has a kubelet whose loop goes round. */
import { Exposition } from '../../machinery/exposition.ts';

const checks = ['ping', 'log', 'syncloop'] as const;

/** The answer to `/healthz/...`; undefined for a check that is not there. */
export function healthPage(check: string, query: URLSearchParams): string | undefined {
  if (check !== '') return checks.some((name) => name === check) ? 'ok' : undefined;
  if (!query.has('verbose')) return 'ok';
  return `${checks.map((name) => `[+]${name} ok\n`).join('')}healthz check passed\n`;
}

export class HealthMetrics {
  #asked = 0;

  /** Each look at it is a check made. */
  page(): string {
    this.#asked++;
    const text = new Exposition();
    text.family('kubernetes_healthcheck', 'gauge', '[STABLE] This metric records the result of a single healthcheck.');
    for (const name of checks) text.sample({ name, type: 'healthz' }, 1);
    text.family('kubernetes_healthchecks_total', 'counter', '[STABLE] This metric records the results of all healthcheck.');
    for (const name of checks) text.sample({ name, status: 'success', type: 'healthz' }, this.#asked);
    return text.text();
  }
}
