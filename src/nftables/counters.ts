/** What the named counters of a table have counted, so that a table that is written anew goes on from there. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

export interface Count {
  readonly packets: number;
  readonly bytes: number;
}

const run = promisify(execFile);
/** Of some hundred thousand counters. */
const largestListing = 64 << 20;

/** None where the table is not there. */
export async function listCounters(family: string, table: string, command: readonly string[] = ['nft']): Promise<Map<string, Count>> {
  const [program = 'nft', ...words] = command;
  const listed = await run(program, [...words, '-j', 'list', 'counters', 'table', family, table], { maxBuffer: largestListing }).catch(
    () => undefined,
  );
  return countersOf(listed?.stdout ?? '{"nftables":[]}');
}

interface Listing {
  readonly nftables: readonly { readonly counter?: { readonly name: string } & Count }[];
}

export function countersOf(json: string): Map<string, Count> {
  const { nftables } = JSON.parse(json) as Listing;
  return new Map(nftables.flatMap(({ counter }) => (counter ? [[counter.name, { packets: counter.packets, bytes: counter.bytes }] as const] : [])));
}
