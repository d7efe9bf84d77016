/** `/healthz`, `/livez`, `/readyz`: named checks, each also below its own path. See https://kubernetes.io/docs/reference/using-api/health-checks/ */
import { type PathAnswer, type PathRequest, type Paths, textAnswer } from './paths.ts';

export interface HealthCheck {
  readonly name: string;
  /** Undefined when well; otherwise what is wrong, for the log only. */
  readonly failure: () => string | undefined;
}

export type HealthEndpoint = 'healthz' | 'livez' | 'readyz';

export function addHealthPaths(paths: Paths, checks: Readonly<Record<HealthEndpoint, readonly HealthCheck[]>>): void {
  addEndpoint(paths, 'healthz', checks.healthz);
  addEndpoint(paths, 'livez', checks.livez);
  addEndpoint(paths, 'readyz', checks.readyz);
}

/** A check of what was done before the server answered anybody: whoever can ask finds it done. */
export function doneBefore(name: string): HealthCheck {
  return { name, failure: () => undefined };
}

function addEndpoint(paths: Paths, endpoint: string, checks: readonly HealthCheck[]): void {
  paths.add(`/${endpoint}`, (request) => summary(endpoint, checks, request));
  for (const check of checks) {
    paths.add(`/${endpoint}/${check.name}`, () =>
      check.failure() === undefined ? textAnswer('ok') : textAnswer('internal server error: reason withheld\n', 500),
    );
  }
}

function summary(endpoint: string, checks: readonly HealthCheck[], { query }: PathRequest): PathAnswer {
  const excluded = query.getAll('exclude');
  const lines: string[] = [];
  let failed = false;
  for (const check of checks) {
    if (excluded.includes(check.name)) {
      lines.push(`[+]${check.name} excluded: ok`);
    } else if (check.failure() === undefined) {
      lines.push(`[+]${check.name} ok`);
    } else {
      failed = true;
      lines.push(`[-]${check.name} failed: reason withheld`);
    }
  }
  const unknown = excluded.filter((name) => !checks.some((check) => check.name === name));
  if (unknown.length > 0) lines.push(`warn: some health checks cannot be excluded: no matches for ${unknown.map((name) => `"${name}"`).join(', ')}`);
  if (failed) return textAnswer(`${lines.join('\n')}\n${endpoint} check failed\n`, 500);
  return query.has('verbose') ? textAnswer(`${lines.join('\n')}\n${endpoint} check passed\n`) : textAnswer('ok');
}
