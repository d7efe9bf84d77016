/** Requests to change protocols (HTTP/1.1 only): a pod's streams and proxies become tunnels, a watch becomes a WebSocket. */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import { ApiError, badRequest, internalError } from '../../machinery/errors.ts';
import type { World } from '../../world/world.ts';
import type { Auditor, AuditRecord } from '../audit/audit.ts';
import type { FlowControl } from '../flow-control/flow-control.ts';
import type { Aggregator } from '../aggregation/aggregator.ts';
import type { Authenticator } from '../authentication/authenticator.ts';
import { attributesOf, type Dispatcher } from '../dispatch.ts';
import { frameHeadBytes, servesProtobuf } from '../protobuf/answers.ts';
import type { Streams } from '../proxy/streams.ts';
import type { User } from '../request.ts';
import { includeObjectOf } from '../table.ts';
import { actingAs, identify } from './front-options.ts';
import { auditId, sourceIps } from './headers.ts';
import { negotiate } from './negotiate.ts';
import { writeRawError } from './raw-error.ts';
import { type HttpMethod, type ResourceRoute, routeOf, verbOf } from './route.ts';
import { streamWatch } from './watch-stream.ts';

export interface UpgradeOptions {
  readonly world: World;
  readonly authenticator: Authenticator;
  readonly dispatcher: Dispatcher;
  readonly streams: Streams;
  readonly aggregator: Aggregator;
  readonly audit?: Auditor;
  readonly flowControl?: FlowControl;
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
  const audited: Audited = { record: undefined };
  upgrade(options, request, socket, head, audited).catch((error: unknown) => {
    if (!(error instanceof ApiError)) {
      options.world.log.error('an upgrade failed by a bug', { url: request.url, error: error instanceof Error ? error.stack : String(error) });
    }
    const failure = error instanceof ApiError ? error : internalError(error instanceof Error ? error.message : String(error));
    // Whoever could not prove who they are is written down without a name.
    if (failure.code === 401) audited.record ??= beginRecord(options, request, nobody);
    audited.record?.failed(failure);
    audited.record?.completed(failure.code);
    writeRawError(socket, failure);
  });
}

/** What is written down about an upgrade, once it is known who asks. */
interface Audited {
  record: AuditRecord | undefined;
}

const nobody: User = { name: '', uid: '', groups: [], extra: {} };

function beginRecord({ audit, world }: UpgradeOptions, request: IncomingMessage, user: User): AuditRecord | undefined {
  if (audit === undefined) return undefined;
  const [path = '/', queryText = ''] = (request.url ?? '/').split('?', 2);
  const route = routeOf(path);
  const method = (request.method ?? 'GET') as HttpMethod;
  return audit.begin({
    id: auditId(request, world),
    uri: request.url ?? '',
    verb: route.type === 'path' ? method.toLowerCase() : verbOf(method, route, queryText),
    user,
    target: route.type === 'path' ? undefined : route.target,
    path,
    sourceIps: sourceIps(request),
    userAgent: request.headers['user-agent'] ?? '',
  });
}

async function upgrade(options: UpgradeOptions, request: IncomingMessage, socket: Duplex, head: Buffer, audited: Audited): Promise<void> {
  const { dispatcher, streams } = options;
  const [path = '/', queryText = ''] = (request.url ?? '/').split('?', 2);
  const sender = await identify(options, request, path);
  const record = beginRecord(options, request, sender);
  audited.record = record;
  for (const [key, value] of Object.entries(sender.remarks?.annotations ?? {})) record?.annotate(key, value);
  const route = routeOf(path);
  if (route.type === 'path') throw badRequest('this path has no other protocol');
  const { target } = route;
  const verb = verbOf((request.method ?? 'GET') as HttpMethod, route, queryText);
  const user = await actingAs(options, request, sender, (who) => attributesOf(who, verb, target, queryText));
  if (user !== sender) record?.actsAs(user);
  record?.decided(await dispatcher.authorize(user, verb, target, queryText));
  // What runs commands needs the right to create, by whatever method a WebSocket has to begin.
  if (target.resource === 'pods' && runsCommands.has(target.subresource ?? '') && verb === 'get') {
    await dispatcher.authorize(user, 'create', target, queryText);
  }
  const remote = options.aggregator.remoteFor(path);
  if (remote !== undefined) {
    remote.upgrade(request, socket, head, user);
    return;
  }
  dispatcher.checkTarget(target);
  const query = new URLSearchParams(queryText);
  const switched = (): void => {
    if (record === undefined) return;
    record.started(switchingProtocols);
    socket.once('close', () => record.completed(switchingProtocols));
  };
  if (streams.serves(route)) {
    if (target.subresource !== 'log') {
      const annotate = record && ((key: string, value: string): void => record.annotate(key, value));
      await dispatcher.verbs.admitConnection({ target, user, query, annotate });
      if (socket.destroyed) return;
    }
    await streams.upgrade(route, request, socket, head, query);
    switched();
    return;
  }
  if (verb !== 'watch') throw badRequest('only watches and streams have another protocol');
  await watchOverWebSocket(options, user, route, request, socket, head, query);
  switched();
}

const switchingProtocols = 101;
const runsCommands: ReadonlySet<string> = new Set(['attach', 'exec', 'portforward']);

async function watchOverWebSocket(
  { world, dispatcher, flowControl }: UpgradeOptions,
  user: User,
  { target }: ResourceRoute,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  query: URLSearchParams,
): Promise<void> {
  const gone = new AbortController();
  socket.on('close', () => gone.abort());
  const kind = dispatcher.verbs.kindAt(target.group, target.version, target.resource);
  const accepted = negotiate(request.headers.accept, { protobuf: kind !== undefined && servesProtobuf(kind), stream: true });
  const isProtobuf = accepted.format === 'protobuf';
  const includeObject = includeObjectOf(query);
  const queryText = query.toString();
  const seat = await flowControl?.seat(user, attributesOf(user, 'watch', target, queryText), queryText);
  const answer = await dispatcher
    .handle({
      verb: 'watch',
      target,
      user,
      query,
      body: undefined,
      contentType: 'application/json',
      userAgent: request.headers['user-agent'] ?? '',
      signal: gone.signal,
      warnings: [],
    })
    .finally(() => seat?.leave());
  if (answer.type !== 'watch') throw badRequest('this cannot be watched');
  webSockets.handleUpgrade(request, socket, head, (webSocket) => {
    webSocket.on('error', () => webSocket.terminate());
    streamWatch(
      answer,
      { accepted, kind, includeObject, now: () => world.clock.now() },
      {
        // A message needs nothing to tell where it ends.
        write: (event) => webSocket.send(isProtobuf ? event.subarray(frameHeadBytes) : event.subarray(0, -1), { binary: isProtobuf }),
        pending: () => webSocket.bufferedAmount,
        end: () => webSocket.close(1000),
      },
    );
  });
}
