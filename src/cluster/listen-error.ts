/** What it means when a server cannot listen, as a sentence that says what to do. */
import { ClusterError } from './config.ts';

export interface ListenPlace {
  readonly host: string;
  readonly port: number;
  /** The flags that would choose another place. */
  readonly portFlag: string;
  readonly hostFlag: string;
}

/** A {@link ClusterError} where the reason is known; the error itself otherwise. */
export function plainListenError(error: unknown, { host, port, portFlag, hostFlag }: ListenPlace): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : '';
  if (code === 'EADDRINUSE') return new ClusterError(`port ${port} is in use by another program: stop that, or choose another with ${portFlag}`);
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND' || code === 'EAI_AGAIN') {
    return new ClusterError(`this machine has no address ${host}: choose another with ${hostFlag}`);
  }
  if (code === 'EACCES') return new ClusterError(`port ${port} may not be opened by this user: choose one above 1023 with ${portFlag}`);
  return error;
}
