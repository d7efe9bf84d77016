/** Addresses on the link between the nodes of one host: a /24, of which the host has the first address and nodes the ones after it. */
import { existsSync, readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { formatIp, nthIp, overlaps, parseCidr } from '../../machinery/ip.ts';

const links = 128;

/** A range this host has no device and no route for: by the cluster's place, or the next that is free. */
export function freeLink(place: number, taken: readonly string[] = [...deviceRanges(), ...routedRanges()]): string {
  for (let i = 0; i < links; i++) {
    const link = `192.168.${128 + ((place + i) % links)}.0/24`;
    if (!taken.some((range) => overlaps(parseCidr(range), parseCidr(link)))) return link;
  }
  return `192.168.${128 + (place % links)}.0/24`;
}

/** The host's address on the link: nodes' way to the API server and to the world. */
export function linkGateway(linkCidr: string): string {
  return `${prefixOf(linkCidr)}1`;
}

/** The same of the link's IPv6 range. */
export function linkGateway6(linkCidr6: string): string {
  return formatIp(nthIp(parseCidr(linkCidr6), 1));
}

/** The IPv6 address of the node that has this IPv4 one: both end in the same number. */
export function linkAddress6(linkCidr6: string, address: string): string {
  return formatIp(nthIp(parseCidr(linkCidr6), Number(address.slice(address.lastIndexOf('.') + 1))));
}

/** The first address no node has. Throws when there are 253 of them. */
export function freeAddress(linkCidr: string, taken: readonly string[]): string {
  const prefix = prefixOf(linkCidr);
  for (let host = 2; host < 255; host++) if (!taken.includes(prefix + String(host))) return prefix + String(host);
  throw new Error(`the link ${linkCidr} has no address left: it holds 253 nodes`);
}

function prefixOf(linkCidr: string): string {
  return linkCidr.slice(0, linkCidr.lastIndexOf('.') + 1);
}

/** Of devices without a carrier, too, such as the link of a cluster whose nodes are all stopped; Node does not list those. */
function routedRanges(): string[] {
  const path = '/proc/net/route';
  return existsSync(path) ? rangesOfRoutes(readFileSync(path, 'utf8')) : [];
}

/** Of the kernel's table: numbers in hexadecimal, their first byte last. The default route is no range of anybody's. */
export function rangesOfRoutes(table: string): string[] {
  return table.split('\n').flatMap((line) => {
    const [, destination, , , , , , mask] = line.trim().split(/\s+/);
    if (destination === undefined || mask === undefined || !/^[0-9A-F]{8}$/.test(destination) || mask === '00000000') return [];
    const octets = (hex: string): number[] => [6, 4, 2, 0].map((at) => Number.parseInt(hex.slice(at, at + 2), 16));
    const length = octets(mask).reduce((sum, octet) => sum + octet.toString(2).replaceAll('0', '').length, 0);
    return [`${octets(destination).join('.')}/${length}`];
  });
}

/** Links of other clusters among them: a cluster that chooses has none yet. */
function deviceRanges(): string[] {
  return Object.values(networkInterfaces()).flatMap((addresses = []) =>
    addresses.flatMap(({ family, cidr }) => (family === 'IPv4' && cidr !== null ? [cidr] : [])),
  );
}
