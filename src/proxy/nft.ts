/** Runs nft with a script as one transaction (all of it holds, or nothing changed), and conntrack where a flow's memory must end. */
import { spawn } from 'node:child_process';
import type { Backend } from './backends.ts';
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

/** UDP flows that conntrack should forget: to `address|port` (`|port`: to any address), and, when given, led on to `endpoint`. */
export interface StaleFlows {
  readonly family: Family;
  readonly target: string;
  readonly endpoint?: Backend;
}

/** A flow that is not there is no error, and without the tool a flow ends when it has been silent for its time. */
export async function forgetUdpFlows({ family, target, endpoint }: StaleFlows): Promise<void> {
  const [address = '', port = ''] = target.split('|');
  const args = ['-D', '-f', family === 'ip' ? 'ipv4' : 'ipv6', '-p', 'udp', '--orig-port-dst', port];
  if (address !== '') args.push('--orig-dst', address);
  if (endpoint) args.push('--reply-src', endpoint.address);
  await run('conntrack', args, '').catch(() => undefined);
}

function run(command: string, args: readonly string[], input: string): Promise<{ code: number; stderr: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['pipe', 'ignore', 'pipe'] });
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr = (stderr + text).slice(0, 10_000)));
    child.on('error', (error) => reject(new NftError(`${command}: ${error.message}`)));
    child.on('close', (code) => resolve({ code: code ?? -1, stderr }));
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
  });
}
