/** The API server could not be reached, or went away before it answered. Whether the request was carried out is not known. */
export class ConnectionError extends Error {
  readonly server: string;
  /** `ECONNREFUSED`, `ECONNRESET`, `CERT_HAS_EXPIRED`, `DEPTH_ZERO_SELF_SIGNED_CERT`, …; empty when the system gave none. */
  readonly code: string;

  constructor(server: string, cause: Error) {
    super(`the connection to the server ${server} failed: ${cause.message}`, { cause });
    this.name = 'ConnectionError';
    this.server = server;
    this.code = 'code' in cause && typeof cause.code === 'string' ? cause.code : '';
  }
}
