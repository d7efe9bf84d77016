/** Runs nft with a script as one transaction: all of it holds, or nothing changed. */
import { spawn } from 'node:child_process';

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

/** Ends conntrack's memory of UDP flows that go to an endpoint that is gone; a flow that is not there is no error. */
export async function forgetUdpFlows(address: string, endpoint: string): Promise<void> {
  const args = ['-D', '-p', 'udp', '--orig-dst', hostOf(address), '--dst-nat', hostOf(endpoint)];
  await run('conntrack', args, '').catch(() => undefined);
}

function hostOf(addressAndPort: string): string {
  return addressAndPort.slice(0, addressAndPort.lastIndexOf(':'));
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
