/** Requests to change protocols (HTTP/1.1 only): a pod's streams and proxies become tunnels, a watch becomes a WebSocket. */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import { ApiError, badRequest, internalError } from '../../machinery/errors.ts';
import type { World } from '../../world/world.ts';
import type { Authenticator } from '../authentication/authenticator.ts';
import { attributesOf, type Dispatcher } from '../dispatch.ts';
import type { Streams } from '../proxy/streams.ts';
import type { User } from '../request.ts';
import { includeObjectOf } from '../table.ts';
import { actingAs, identify } from './front-options.ts';
import { writeRawError } from './listener.ts';
import { negotiate } from './negotiate.ts';
import { type HttpMethod, type ResourceRoute, routeOf, verbOf } from './route.ts';
import { streamWatch } from './watch-stream.ts';

export interface UpgradeOptions {
  readonly world: World;
  readonly authenticator: Authenticator;
  readonly dispatcher: Dispatcher;
  readonly streams: Streams;
}

/** Of upstream's subprotocols for watches the plain one; the other carries a token and is never chosen. */
const webSockets = new WebSocketServer({
  noServer: true,
  clientTracking: false,
  maxPayload: 64 * 1024,
  handleProtocols: (offered) => firstPlain(offered),
});

function firstPlain(offered: ReadonlySet<string>): string | false {
  for (const protocol of offered) if (!protocol.startsWith('base64url.bearer.authorization')) return protocol;
  return false;
}

export function handleUpgrade(options: UpgradeOptions, request: IncomingMessage, socket: Duplex, head: Buffer): void {
  const onEarlyError = (): void => {
    socket.destroy();
  };
  socket.on('error', onEarlyError);
  upgrade(options, request, socket, head).catch((error: unknown) => {
    if (!(error instanceof ApiError)) {
      options.world.log.error('an upgrade failed by a bug', { url: request.url, error: error instanceof Error ? error.stack : String(error) });
    }
    writeRawError(socket, error instanceof ApiError ? error : internalError(error instanceof Error ? error.message : String(error)));
  });
}

async function upgrade(options: UpgradeOptions, request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
  const { dispatcher, streams } = options;
  const [path = '/', queryText = ''] = (request.url ?? '/').split('?', 2);
  const sender = await identify(options, request, path);
  const route = routeOf(path);
  if (route.type === 'path') throw badRequest('this path has no other protocol');
  const { target } = route;
  const verb = verbOf((request.method ?? 'GET') as HttpMethod, route, queryText);
  const user = await actingAs(options, request, sender, (who) => attributesOf(who, verb, target, queryText));
  await dispatcher.authorize(user, verb, target, queryText);
  // What runs commands needs the right to create, by whatever method a WebSocket has to begin.
  if (target.resource === 'pods' && target.subresource !== 'proxy' && target.subresource !== undefined && verb === 'get') {
    await dispatcher.authorize(user, 'create', target, queryText);
  }
  dispatcher.checkTarget(target);
  const query = new URLSearchParams(queryText);
  if (streams.serves(route)) {
    streams.upgrade(route, request, socket, head, query);
    return;
  }
  if (verb !== 'watch') throw badRequest('only watches and streams have another protocol');
  await watchOverWebSocket(options, user, route, request, socket, head, query);
}

async function watchOverWebSocket(
  { world, dispatcher }: UpgradeOptions,
  user: User,
  { target }: ResourceRoute,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  query: URLSearchParams,
): Promise<void> {
  const gone = new AbortController();
  socket.on('close', () => gone.abort());
  const accepted = negotiate(request.headers.accept);
  const includeObject = includeObjectOf(query);
  const answer = await dispatcher.handle({
    verb: 'watch',
    target,
    user,
    query,
    body: undefined,
    contentType: 'application/json',
    userAgent: request.headers['user-agent'] ?? '',
    signal: gone.signal,
    warnings: [],
  });
  if (answer.type !== 'watch') throw badRequest('this cannot be watched');
  const kind = dispatcher.verbs.kindAt(target.group, target.version, target.resource);
  webSockets.handleUpgrade(request, socket, head, (webSocket) => {
    webSocket.on('error', () => webSocket.terminate());
    streamWatch(
      answer,
      { accepted, kind, includeObject, now: () => world.clock.now() },
      {
        // A message is an event without the line break.
        write: (event) => webSocket.send(event.subarray(0, -1), { binary: false }),
        pending: () => webSocket.bufferedAmount,
        end: () => webSocket.close(1000),
      },
    );
  });
}
