/** Lets this machine pass packets on, between its pods, to other nodes and to the world, and look at those between pods of its own. */
import { existsSync, readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import type { Run } from './command.ts';

/** The kernel has IPv6, and it is not switched off. */
export function hasIpv6(): boolean {
  const off = '/proc/sys/net/ipv6/conf/all/disable_ipv6';
  return existsSync(off) && readFileSync(off, 'utf8').trim() === '0';
}

export async function allowForwarding(families: { readonly v6: boolean }, run: Run): Promise<void> {
  await sysctl('net/ipv4/ip_forward', '1');
  if (families.v6) await forwardIpv6(run);
}

/** Without it an answer from a pod on the same bridge would skip the translation back to the Service's address. */
export async function seeBridgedPackets(): Promise<void> {
  await sysctl('net/bridge/bridge-nf-call-iptables', '1', true);
  await sysctl('net/bridge/bridge-nf-call-ip6tables', '1', true);
}

/** A machine that forwards no longer listens to routers' advertisements: one that got its way to the world from them is told to go on listening first. */
async function forwardIpv6(run: Run): Promise<void> {
  const routes = await run('ip', ['-6', 'route', 'show', 'default']).catch(() => '');
  for (const device of advertisedDevices(routes)) await sysctl(`net/ipv6/conf/${device}/accept_ra`, '2', true);
  await sysctl('net/ipv6/conf/all/forwarding', '1');
}

/** Devices of those default routes, as `ip route` prints them, that routers' advertisements made. */
export function advertisedDevices(routes: string): string[] {
  return [...routes.matchAll(/ dev (\S+) (?:.* )?proto ra /g)].map(([, device = '']) => device);
}

async function sysctl(name: string, value: string, mayMiss = false): Promise<void> {
  const path = `/proc/sys/${name}`;
  try {
    if ((await readFile(path, 'utf8')).trim() !== value) await writeFile(path, value);
  } catch (error) {
    if (!mayMiss) throw new Error(`cannot set ${name.replaceAll('/', '.')} to ${value}: ${String(error)}`, { cause: error });
  }
}
