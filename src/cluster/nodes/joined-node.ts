/** The node agent of a machine, or of a namespace, that joined a cluster: as the one beside the control plane, with certificates it asks for. */
import type { World } from '../../world/world.ts';
import { type NodeAgent, startNodeAgent } from '../node-agent.ts';
import { joinedIdentities } from './joined-identities.ts';
import { readNode, readTrust } from './node-record.ts';

export { isJoinedNode } from './node-record.ts';

export async function startJoinedNode(dataDir: string, world: World, progress: (text: string) => void): Promise<NodeAgent> {
  const settings = readNode(dataDir);
  const identities = joinedIdentities(settings, readTrust(dataDir), world);
  try {
    const agent = await startNodeAgent(settings, identities, world, progress);
    return {
      async close() {
        identities.close();
        await agent.close();
      },
    };
  } catch (error) {
    identities.close();
    throw error;
  }
}
