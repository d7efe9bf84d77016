/** Which of the equal blocks of a cluster's pod network are taken. Follows upstream's `cidrset`, exact to the block. */
import { type Cidr, formatCidr, indexOfIp, networkOf, nthSubnet, overlaps, parseCidr, widthOf } from '../../machinery/ip.ts';

/** So many blocks at most: more nodes than any cluster has. */
const mostBlocks = 1n << 16n;

export class CidrSet {
  private readonly range: Cidr;
  private readonly blockLength: number;
  private readonly count: number;
  private readonly taken = new Set<number>();
  /** Blocks are handed out in turn, so that one just given back is not reused at once. */
  private next = 0;

  constructor(range: string, blockLength: number) {
    this.range = networkOf(parseCidr(range));
    this.blockLength = blockLength;
    const { family } = this.range.address;
    if (blockLength < this.range.prefixLength || blockLength > widthOf(family)) {
      throw new Error(`node CIDR mask size ${blockLength} does not fit the cluster CIDR ${range}`);
    }
    const blocks = 1n << BigInt(blockLength - this.range.prefixLength);
    this.count = Number(blocks < mostBlocks ? blocks : mostBlocks);
  }

  get family(): 4 | 6 {
    return this.range.address.family;
  }

  /** The next free block, taken; undefined when none is left. */
  allocate(): string | undefined {
    if (this.taken.size >= this.count) return undefined;
    while (this.taken.has(this.next)) this.next = (this.next + 1) % this.count;
    const block = this.next;
    this.taken.add(block);
    this.next = (block + 1) % this.count;
    return formatCidr(nthSubnet(this.range, this.blockLength, block));
  }

  /** Marks every block that the CIDR touches; nothing when it lies outside. */
  occupy(cidr: string): void {
    for (const block of this.blocksOf(cidr)) this.taken.add(block);
  }

  release(cidr: string): void {
    for (const block of this.blocksOf(cidr)) this.taken.delete(block);
  }

  private blocksOf(text: string): number[] {
    const cidr = networkOf(parseCidr(text));
    if (!overlaps(this.range, cidr)) return [];
    const hostBits = BigInt(widthOf(this.family) - this.blockLength);
    const first = cidr.prefixLength <= this.range.prefixLength ? 0n : indexOfIp(this.range, cidr.address) >> hostBits;
    const span = cidr.prefixLength >= this.blockLength ? 1n : 1n << BigInt(this.blockLength - Math.max(cidr.prefixLength, this.range.prefixLength));
    const blocks: number[] = [];
    for (let block = first; block < first + span && block < BigInt(this.count); block++) blocks.push(Number(block));
    return blocks;
  }
}
