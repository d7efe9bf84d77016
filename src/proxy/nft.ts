/** Runs nft with a script as one transaction (all of it holds, or nothing changed), and conntrack where a flow's memory must end. */
import { spawn } from 'node:child_process';
import type { Family } from './service-rules.ts';

export class NftError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'NftError';
  }
}

/** Rejects with {@link NftError} carrying nft's own words. */
export async function nft(script: string): Promise<void> {
  const { code, stderr } = await run('nft', ['-f', '-'], script);
  if (code !== 0) throw new NftError(stderr.trim() || `nft ended with ${code}`);
}

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

const families = { ip: 'ipv4', ip6: 'ipv6' } as const;

/** A flow that is not there is no error, and without the tool a flow ends when it has been silent for its time. */
export async function forgetUdpFlows({ family, target, endpoint }: StaleFlows): Promise<void> {
  const [address = '', port = ''] = target.split('|');
  const args = ['-D', '-f', families[family], '-p', 'udp', '--orig-port-dst', port];
  if (address !== '') args.push('--orig-dst', address);
  const answeredBy = endpoint?.address ?? address;
  if (answeredBy !== '') args.push('--reply-src', answeredBy);
  await run('conntrack', args, '').catch(() => undefined);
}

/** All that conntrack remembers; none where the tool is missing. */
export async function listUdpFlows(family: Family): Promise<UdpFlow[]> {
  const result = await run('conntrack', ['-L', '-f', families[family], '-p', 'udp'], '').catch(() => undefined);
  const lines = (result?.stdout ?? '').matchAll(/^udp .*? dst=(\S+) sport=\d+ dport=(\d+) .*?src=(\S+) /gm);
  return [...lines].map(([, address = '', port = '', answeredBy = '']) => ({ address, port: Number(port), answeredBy }));
}

function run(command: string, args: readonly string[], input: string): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr = (stderr + text).slice(0, 10_000)));
    child.on('error', (error) => reject(new NftError(`${command}: ${error.message}`)));
    child.on('close', (code) => resolve({ code: code ?? -1, stdout, stderr }));
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
  });
}
