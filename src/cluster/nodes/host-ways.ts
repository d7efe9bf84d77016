/**
 * The host's ways to pods of nodes in namespaces: the API server calls webhooks and aggregated APIs in pods, and where no node stands on the host nobody else
 * lays the way there.
 */
import { Node } from '../../api/kinds.ts';
import type { Client } from '../../client/client.ts';
import { isV6 } from '../../machinery/ip.ts';
import { type Run, runCommand } from '../../network/command.ts';
import { podCidrsOf } from '../../network/peers.ts';
import { linkAddress6 } from './link-addresses.ts';
import type { Link } from './link.ts';

interface Way {
  readonly name: string;
  /** The node's IPv4 address on the link. */
  readonly address: string;
}

export async function layWays(client: Client, { device, v6 }: Link, { name, address }: Way, run: Run = runCommand): Promise<void> {
  const routes = podCidrsOf(await client.resource(Node).get(name)).flatMap((range) => {
    const via = !isV6(range) ? address : v6 && linkAddress6(v6.cidr, address);
    return via === undefined ? [] : [`route replace ${range} via ${via} dev ${device}`];
  });
  await run('ip', ['-batch', '-'], routes.join('\n'));
}

/** Of a node that is gone: its range may become that of a machine elsewhere. What is not there is no error. */
export async function removeWays({ device, v6 }: Link, { address }: Way, run: Run = runCommand): Promise<void> {
  await run('ip', ['route', 'flush', 'via', address, 'dev', device]).catch(() => undefined);
  if (v6) await run('ip', ['-6', 'route', 'flush', 'via', linkAddress6(v6.cidr, address), 'dev', device]).catch(() => undefined);
}
