/** Which headers pass the proxy, and which it adds: pure. See RFC 9110, section 7.6.1. */
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http';

/** What is about one connection, and not about the message. */
const hopByHop: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
]);

export interface ClientFacts {
  readonly address: string;
  readonly isTls: boolean;
  /** The port it was reached at. */
  readonly port: number;
  /** As the client named it: `Host`, or HTTP/2's `:authority`. */
  readonly host: string;
}

/**
 * What a backend is sent. Whatever a client says of who it is and how it came is replaced: nothing is known of who stands before this proxy, so nobody is
 * believed.
 */
export function requestHeaders(headers: IncomingHttpHeaders, client: ClientFacts, upgrade?: string): OutgoingHttpHeaders {
  const passed = withoutHopByHop(headers);
  for (const name of Object.keys(passed)) if (name.startsWith(':')) delete passed[name];
  return {
    ...passed,
    host: client.host,
    'x-real-ip': client.address,
    'x-forwarded-for': client.address,
    'x-forwarded-host': client.host,
    'x-forwarded-port': String(client.port),
    'x-forwarded-proto': client.isTls ? 'https' : 'http',
    'x-forwarded-scheme': client.isTls ? 'https' : 'http',
    ...(upgrade !== undefined && { connection: 'Upgrade', upgrade }),
    // A body whose length nobody said comes in pieces; HTTP/2 need not say so, HTTP/1.1 must.
    ...(headers['transfer-encoding'] !== undefined && upgrade === undefined && { 'transfer-encoding': 'chunked' }),
  };
}

export function responseHeaders(headers: IncomingHttpHeaders): OutgoingHttpHeaders {
  return withoutHopByHop(headers);
}

function withoutHopByHop(headers: IncomingHttpHeaders): OutgoingHttpHeaders {
  const named = new Set((headers.connection ?? '').split(',').map((name) => name.trim().toLowerCase()));
  return Object.fromEntries(Object.entries(headers).filter(([name, value]) => value !== undefined && !hopByHop.has(name) && !named.has(name)));
}
