/**
 * `/logs/`: the files of the node's log directory, as Go's file server gives them: a directory as a page of links, a file as it is, parts of it on request.
 * A path leads nowhere outside, but links in the directory are followed, as upstream does.
 */
import { createReadStream } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join, normalize } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { HttpError, sendText } from './responses.ts';

/** `path` is what stands behind `/logs/`, decoded. */
export async function serveNodeLogs(root: string, path: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (path.includes('\0')) throw new HttpError(400, 'invalid path');
  // Made absolute first, so that no `..` leads above it.
  const place = join(root, normalize(`/${path}`));
  const found = await stat(place).catch((error: NodeJS.ErrnoException) => {
    throw ['ENOENT', 'ENOTDIR'].includes(error.code ?? '') ? new HttpError(404, '404 page not found') : error;
  });
  if (found.isDirectory()) await sendListing(place, response);
  else if (found.isFile()) await sendFile(place, found.size, request, response);
  else throw new HttpError(404, '404 page not found');
}

async function sendListing(directory: string, response: ServerResponse): Promise<void> {
  const entries = await readdir(directory, { withFileTypes: true });
  const names = entries.map((entry) => (entry.isDirectory() ? `${entry.name}/` : entry.name)).sort();
  const links = names.map((name) => `<a href="${encodeURI(name)}">${escaped(name)}</a>\n`).join('');
  sendText(
    response,
    200,
    `<!doctype html>\n<meta name="viewport" content="width=device-width">\n<pre>\n${links}</pre>\n`,
    'text/html; charset=utf-8',
  );
}

function escaped(name: string): string {
  return name.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&#34;').replaceAll("'", '&#39;');
}

/** What was there when it was asked for: a log that grows has no end. */
async function sendFile(path: string, size: number, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const part = partOf(request.headers.range, size);
  if (part === 'none') {
    response.writeHead(416, { 'Content-Range': `bytes */${size}` });
    response.end();
    return;
  }
  const { start, end } = part ?? { start: 0, end: size - 1 };
  response.writeHead(part === undefined ? 200 : 206, {
    'Content-Type': 'text/plain; charset=utf-8',
    'Content-Length': end + 1 - start,
    'Accept-Ranges': 'bytes',
    ...(part && { 'Content-Range': `bytes ${start}-${end}/${size}` }),
  });
  if (end < start) response.end();
  // The caller may go at any time; that is no error of ours.
  else await pipeline(createReadStream(path, { start, end }), response).catch(() => response.destroy());
}

/** Of `bytes=5-9`, `bytes=5-` or `bytes=-5`; undefined for all of it, also where several parts are asked for. */
export function partOf(header: string | undefined, size: number): { readonly start: number; readonly end: number } | 'none' | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? '');
  if (!match || (match[1] === '' && match[2] === '')) return undefined;
  const [, first = '', last = ''] = match;
  const start = first === '' ? Math.max(0, size - Number(last)) : Number(first);
  const end = first === '' || last === '' ? size - 1 : Math.min(Number(last), size - 1);
  return start > end ? 'none' : { start, end };
}
