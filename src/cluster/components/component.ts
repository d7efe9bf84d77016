/** What components run alone have in common: a world to live in, a connection from a kubeconfig, and an end on SIGTERM or Ctrl-C. */
import { AdmissionPluginError } from '../../apiserver/admission/plugins.ts';
import type { Client } from '../../client/client.ts';
import { type HttpTransportOptions, httpTransport } from '../../client/http.ts';
import { connectionOf, KubeconfigError } from '../../client/kubeconfig.ts';
import { createClient } from '../../client/typed-client.ts';
import { StoreFailure } from '../../store/store.ts';
import { realWorld } from '../../world/real.ts';
import type { World } from '../../world/world.ts';
import { ClusterError } from '../config.ts';
import { askedToEnd, untilAskedToEnd } from '../foreground.ts';

export interface CommonFlags {
  /** Upstream's `--v`: 4 and above show what is otherwise silent. */
  readonly v: number;
}

/** Things to close, in the order they were opened; closing goes backwards. */
export type Closers = (() => void | Promise<void>)[];

export interface Running {
  readonly world: World;
  readonly closers: Closers;
  /** Ends the component with an error, as when its lease is lost. */
  readonly fail: (reason: ClusterError) => void;
}

/** Starts, waits to be asked to end, closes. Rejects with {@link ClusterError} for what the user can mend. */
export async function runComponent(name: string, flags: CommonFlags, start: (running: Running) => void | Promise<void>): Promise<void> {
  const world = realWorld({ level: flags.v >= 4 ? 'debug' : 'info' });
  const closers: Closers = [];
  const failed = new AbortController();
  const ended = AbortSignal.any([askedToEnd(), failed.signal]);
  try {
    await start({ world, closers, fail: (reason) => failed.abort(reason) });
    world.log.info('started', { component: name });
    await untilAskedToEnd(world, ended);
    failed.signal.throwIfAborted();
  } catch (error) {
    throw plainError(error);
  } finally {
    for (const close of closers.reverse()) await close();
  }
  world.log.info('ended', { component: name });
}

/** What the user can mend, in a plain sentence; a bug keeps its stack. */
function plainError(error: unknown): unknown {
  const isPlain = error instanceof KubeconfigError || error instanceof StoreFailure || error instanceof AdmissionPluginError;
  return isPlain ? new ClusterError(error.message) : error;
}

/** A client as the kubeconfig says. */
export function clientOf(connection: HttpTransportOptions, closers: Closers): Client {
  const transport = httpTransport(connection);
  closers.push(() => transport.close());
  return createClient(transport);
}

export function readConnection(kubeconfig: string, userAgent: string): HttpTransportOptions {
  return { ...connectionOf(kubeconfig), userAgent };
}
