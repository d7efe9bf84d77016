/** Answers in the kubelet's way: plain text for people and for the API server, which wraps errors for its own callers. */
import type { ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { errorFromStatus, type Status } from '../../machinery/errors.ts';
import { STATUS_CODES } from '../../world/node-http.ts';

/** Ends a request with a status code and a sentence. */
export class HttpError extends Error {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(statusCode: number, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.statusCode = statusCode;
    this.headers = headers;
  }
}

export function sendError(response: ServerResponse, { statusCode, message, headers }: HttpError): void {
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  sendText(response, statusCode, `${message}\n`);
}

export function sendText(response: ServerResponse, statusCode: number, text: string, contentType = 'text/plain; charset=utf-8'): void {
  const body = Buffer.from(text);
  response.writeHead(statusCode, { 'Content-Type': contentType, 'Content-Length': body.length });
  response.end(body);
}

export function sendJson(response: ServerResponse, value: unknown): void {
  sendText(response, 200, JSON.stringify(value), 'application/json');
}

/**
 * The same on a connection that asked to be upgraded and is not going to be. Clients show a plain text as it is, but read it as a Status if they can, and YAML
 * makes one without a word of `code: 5`: a text with a colon goes as the Status that it is to be read as.
 */
export function refuseUpgrade(socket: Duplex, error: HttpError): void {
  const isMistakable = /:(?:\s|$)/.test(error.message);
  const body = Buffer.from(isMistakable ? JSON.stringify(statusOf(error)) : `${error.message}\n`);
  const head = [
    `HTTP/1.1 ${error.statusCode} ${STATUS_CODES[error.statusCode] ?? 'Error'}`,
    `Content-Type: ${isMistakable ? 'application/json' : 'text/plain; charset=utf-8'}`,
    `Content-Length: ${body.length}`,
    'Connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body.toString()}`);
}

function statusOf({ statusCode: code, message }: HttpError): Status {
  return errorFromStatus({ message, code }, code).toStatus();
}

/** Switches protocols. What is written next belongs to the new one. */
export function acceptUpgrade(socket: Duplex, headers: Readonly<Record<string, string>>): void {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n${lines.join('')}\r\n`);
}
