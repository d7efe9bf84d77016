/** Asks conntrack what it remembers, and makes it forget flows that must end. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Family } from './base-rules.ts';

const run = promisify(execFile);

/** UDP flows that conntrack should forget: to `address|port` (`|port`: to any address), and led on to `endpoint`; without one, led nowhere. */
export interface StaleFlows {
  readonly family: Family;
  readonly target: string;
  readonly endpoint?: { readonly address: string };
}

/** A flow as it was sent, and who is to answer: whom it was sent to, when nobody led it on. */
export interface UdpFlow {
  readonly address: string;
  readonly port: number;
  readonly answeredBy: string;
}

/** Of a table with as many flows as a kernel keeps by default. */
const largestListing = 64 << 20;

const families = { ip: 'ipv4', ip6: 'ipv6' } as const;

/** A flow that is not there is no error, and without the tool a flow ends when it has been silent for its time. */
export async function forgetUdpFlows({ family, target, endpoint }: StaleFlows): Promise<void> {
  const [address = '', port = ''] = target.split('|');
  const args = ['-D', '-f', families[family], '-p', 'udp', '--orig-port-dst', port];
  if (address !== '') args.push('--orig-dst', address);
  const answeredBy = endpoint?.address ?? address;
  if (answeredBy !== '') args.push('--reply-src', answeredBy);
  await run('conntrack', args, { maxBuffer: largestListing }).catch(() => undefined);
}

/** All that conntrack remembers; none where the tool is missing. */
export async function listUdpFlows(family: Family): Promise<UdpFlow[]> {
  const result = await run('conntrack', ['-L', '-f', families[family], '-p', 'udp'], { maxBuffer: largestListing }).catch(() => undefined);
  const lines = (result?.stdout ?? '').matchAll(/^udp .*? dst=(\S+) sport=\d+ dport=(\d+) .*?src=(\S+) /gm);
  return [...lines].map(([, address = '', port = '', answeredBy = '']) => ({ address, port: Number(port), answeredBy }));
}
