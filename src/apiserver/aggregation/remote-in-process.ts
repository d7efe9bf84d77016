/** Requests of components in this process to what another server serves: JSON both ways, errors as the other server tells them. */
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { createInterface } from 'node:readline';
import { ApiError, errorFromStatus, internalError } from '../../machinery/errors.ts';
import type { InProcessConnection, InProcessRequest } from '../api-server.ts';
import { isFields } from '../custom-resources/structure.ts';
import type { User } from '../request.ts';
import type { RemoteApi } from './remote-api.ts';

type WatchEvent = ReturnType<InProcessConnection['watch']> extends AsyncIterable<infer Event> ? Event : never;

export async function askRemote(remote: RemoteApi, user: User, request: InProcessRequest): Promise<unknown> {
  const answer = await send(remote, user, request);
  return parse(await textOf(answer));
}

export async function* watchRemote(remote: RemoteApi, user: User, request: InProcessRequest): AsyncGenerator<WatchEvent> {
  const answer = await send(remote, user, request);
  const end = (): void => {
    answer.destroy();
  };
  request.signal?.addEventListener('abort', end, { once: true });
  try {
    for await (const line of createInterface({ input: answer })) {
      const event = parse(line);
      if (!isFields(event)) throw internalError('a watch event is no object');
      if (event['type'] === 'ERROR') throw errorFromStatus(isFields(event['object']) ? event['object'] : {}, 500);
      yield event as WatchEvent;
    }
  } catch (error) {
    // The other server going away ends the watch; whoever wants more asks again.
    if (error instanceof ApiError) throw error;
  } finally {
    request.signal?.removeEventListener('abort', end);
    end();
  }
}

async function send(remote: RemoteApi, user: User, request: InProcessRequest): Promise<IncomingMessage> {
  const { method, path, query, body, contentType, signal } = request;
  const queryText = query === undefined ? '' : new URLSearchParams(query).toString();
  const answer = await remote.ask(user, {
    method,
    path: queryText === '' ? path : `${path}?${queryText}`,
    ...(body !== undefined && { body }),
    ...(contentType !== undefined && { headers: { 'content-type': contentType } }),
    ...(signal && { signal }),
  });
  const { statusCode = 502 } = answer;
  if (statusCode >= 200 && statusCode <= 299) return answer;
  const status: unknown = parse(await textOf(answer), true);
  throw errorFromStatus(isFields(status) ? status : {}, statusCode);
}

async function textOf(answer: IncomingMessage): Promise<string> {
  let text = '';
  answer.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  await once(answer, 'end');
  return text;
}

function parse(text: string, orNothing = false): unknown {
  try {
    return JSON.parse(text);
  } catch {
    if (orNothing) return undefined;
    throw internalError('the server of an aggregated API answered with something else than JSON');
  }
}
