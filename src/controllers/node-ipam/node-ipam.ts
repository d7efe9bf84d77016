/** Gives every node its own blocks of the pod network, one per family, and takes them back when it goes. Upstream's `nodeipam`, range allocator. */
import { Node } from '../../api/kinds.ts';
import { parseCidr } from '../../machinery/ip.ts';
import { isReason } from '../../machinery/errors.ts';
import type { ControllerDefinition } from '../controller.ts';
import { CidrSet } from './cidr-set.ts';

export const nodeIpamController: ControllerDefinition = {
  name: 'node-ipam-controller',
  serviceAccount: 'node-controller',
  eventSource: 'cidrAllocator',
  setup(context) {
    const { client, events, options } = context;
    const sets = options.clusterCidrs.map((range) => {
      const { family } = parseCidr(range).address;
      return new CidrSet(range, family === 4 ? options.nodeCidrMaskSize : options.nodeCidrMaskSizeV6);
    });
    /** What each known node holds, whether or not its object says so already. */
    const held = new Map<string, readonly string[]>();

    function note(node: Node): void {
      const cidrs = cidrsOf(node);
      if (cidrs.length > 0) {
        take(node.metadata.name, cidrs);
      } else if (sets.length > 0) {
        context.enqueue(node.metadata.name);
      }
    }
    function take(name: string, cidrs: readonly string[]): void {
      if (held.get(name)?.join() === cidrs.join()) return;
      giveBack(name);
      held.set(name, cidrs);
      cidrs.forEach((cidr) => sets.forEach((set) => set.occupy(cidr)));
    }
    function giveBack(name: string): void {
      for (const cidr of held.get(name) ?? []) sets.forEach((set) => set.release(cidr));
      held.delete(name);
    }

    const nodes = context.watch(Node, {
      added: note,
      updated(node, old) {
        if (node.metadata.uid !== old.metadata.uid) giveBack(old.metadata.name);
        note(node);
      },
      deleted: (node) => giveBack(node.metadata.name),
    });

    return {
      async reconcile(name) {
        const node = nodes.get(name);
        if (!node || cidrsOf(node).length > 0) return;
        // A patch that failed without an answer may have been written: the same blocks are offered again.
        let podCIDRs = held.get(name);
        if (!podCIDRs) {
          const free = sets.map((set) => set.allocate());
          const got = free.filter((cidr) => cidr !== undefined);
          if (got.length < sets.length) {
            got.forEach((cidr) => sets.forEach((set) => set.release(cidr)));
            events.event(node, 'Normal', 'CIDRNotAvailable', `Node ${name} status is now: CIDRNotAvailable`);
            throw new Error('CIDR allocation failed; there are no remaining CIDRs left to allocate in the accepted range');
          }
          held.set(name, got);
          podCIDRs = got;
        }
        try {
          await client.resource(Node).patch(name, { spec: { podCIDR: podCIDRs[0], podCIDRs } }, { type: 'strategic' });
        } catch (error) {
          // Gone, or its blocks were set by someone else, which cannot be changed: the node's own event tells.
          if (isReason(error, 'NotFound', 'Invalid')) {
            giveBack(name);
            const current = nodes.get(name);
            if (current) note(current);
            if (isReason(error, 'NotFound')) return;
          }
          throw error;
        }
      },
    };
  },
};

function cidrsOf({ spec }: Node): readonly string[] {
  if (spec.podCIDRs && spec.podCIDRs.length > 0) return spec.podCIDRs;
  return spec.podCIDR === undefined || spec.podCIDR === '' ? [] : [spec.podCIDR];
}
