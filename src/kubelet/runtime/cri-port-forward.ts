/**
 * A connection to a port inside a pod, through the runtime's streaming server: it enters the pod's network namespace and dials the loopback there, so
 * that applications which listen on 127.0.0.1 only are reached too. Upstream's protocol: a data stream and an error stream with the port's number.
 */
import type { Duplex } from 'node:stream';
import { dialSpdy } from '../server/spdy-dial.ts';
import { SpdySession, type SpdyStream } from '../server/spdy-session.ts';

export async function forwardPort(url: string, port: number): Promise<Duplex> {
  const { socket } = await dialSpdy(url, ['portforward.k8s.io']);
  const session = new SpdySession(socket, { role: 'client' });
  try {
    const about = { port: String(port), requestid: '0' };
    const errors = await session.openStream({ ...about, streamtype: 'error' });
    errors.end();
    const verdict = textOf(errors).then((problem) => (problem === '' ? undefined : new Error(problem)));
    const data = await session.openStream({ ...about, streamtype: 'data' }, verdict);
    data.once('close', () => session.close());
    return data;
  } catch (error) {
    session.destroy();
    throw error;
  }
}

/** The runtime says on the error stream what went wrong, most often that nothing listens there. */
async function textOf(stream: SpdyStream): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}
