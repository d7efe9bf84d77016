/** Which pages a kubelet's server has, and for which methods. */
import { HttpError } from './responses.ts';

/** As a `KubeletConfiguration` chooses. */
export interface ServedPages {
  /** Commands in containers, their logs, their ports: `enableDebuggingHandlers`. */
  readonly debugging: boolean;
  /** `/logs/`: `enableSystemLogHandler`. */
  readonly systemLogs: boolean;
  /** Questions on `/logs/`: `enableSystemLogQuery`. */
  readonly systemLogQuery: boolean;
}

export const defaultPages: ServedPages = { debugging: true, systemLogs: true, systemLogQuery: false };

const debuggingPages: ReadonlySet<string> = new Set(['run', 'exec', 'attach', 'portForward', 'containerLogs', 'runningpods', 'logs']);
/** Those that take one method alone. */
const methods: Readonly<Record<string, string>> = {
  pods: 'GET',
  runningpods: 'GET',
  containerLogs: 'GET',
  logs: 'GET',
  run: 'POST',
  checkpoint: 'POST',
};

/** Throws for a page that is not there, or not for this method. */
export function assertServed(page: string, method: string, { debugging, systemLogs }: ServedPages): void {
  if (!debugging && debuggingPages.has(page)) throw new HttpError(405, 'Debug endpoints are disabled.');
  if (!systemLogs && page === 'logs') throw new HttpError(405, 'logs endpoint is disabled.');
  const only = Object.hasOwn(methods, page) ? methods[page] : undefined;
  if (only !== undefined && only !== method) throw new HttpError(405, 'Method Not Allowed', { Allow: only });
}
