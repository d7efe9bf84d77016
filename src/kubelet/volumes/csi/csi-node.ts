/**
 * What the API knows of the storage drivers on this node: the CSINode object (node ids, topology, limits), and the topology as labels of the Node. Follows
 * upstream's `pkg/volume/csi/nodeinfomanager`.
 */
import { CSINode, Node } from '../../../api/node-kinds.ts';
import type { V1CSINodeDriver } from '../../../api/types.ts';
import type { Client } from '../../../client/client.ts';
import { isReason } from '../../../machinery/errors.ts';
import type { NodeInfo } from './csi-driver.ts';

const nodeIdAnnotation = 'csi.volume.kubernetes.io/nodeid';
const attempts = 5;

export interface CsiNodeWriter {
  add(driver: string, info: NodeInfo): Promise<void>;
  remove(driver: string): Promise<void>;
}

export function csiNodeWriter(client: Client, nodeName: string): CsiNodeWriter {
  const nodes = client.resource(Node);
  const csiNodes = client.resource(CSINode);

  /** Read, changed and written until nobody came between. */
  async function change(drivers: (known: readonly V1CSINodeDriver[]) => V1CSINodeDriver[]): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        const known = await csiNodes.get(nodeName).catch((error: unknown) => {
          if (isReason(error, 'NotFound')) return undefined;
          throw error;
        });
        if (known) {
          await csiNodes.update({ ...known, spec: { ...known.spec, drivers: drivers(known.spec.drivers) } });
          return;
        }
        const { uid } = (await nodes.get(nodeName)).metadata;
        await csiNodes.create({
          metadata: { name: nodeName, ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name: nodeName, uid }] },
          spec: { drivers: drivers([]) },
        });
        return;
      } catch (error) {
        if (attempt === attempts || !isReason(error, 'Conflict', 'AlreadyExists')) throw error;
      }
    }
  }

  /** The annotation holds a JSON object: driver → node id. */
  async function annotate(driver: string, info: NodeInfo | undefined): Promise<void> {
    const { metadata } = await nodes.get(nodeName);
    const ids = new Map(Object.entries(parseIds(metadata.annotations?.[nodeIdAnnotation])));
    if (info) ids.set(driver, info.nodeId);
    else ids.delete(driver);
    const value = ids.size === 0 ? null : JSON.stringify(Object.fromEntries(ids));
    await nodes.patch(nodeName, { metadata: { annotations: { [nodeIdAnnotation]: value }, ...(info && { labels: info.topology }) } });
  }

  return {
    async add(driver, info) {
      await annotate(driver, info);
      const entry = {
        name: driver,
        nodeID: info.nodeId,
        topologyKeys: Object.keys(info.topology).sort(),
        ...(info.maxVolumes > 0 && { allocatable: { count: info.maxVolumes } }),
      };
      await change((known) => [...known.filter(({ name }) => name !== driver), entry]);
    },
    async remove(driver) {
      await change((known) => known.filter(({ name }) => name !== driver));
      await annotate(driver, undefined);
    },
  };
}

function parseIds(text: string | undefined): Readonly<Record<string, string>> {
  if (text === undefined || text === '') return {};
  const parsed: unknown = JSON.parse(text);
  if (typeof parsed !== 'object' || parsed === null) return {};
  return Object.fromEntries(Object.entries(parsed).map(([name, id]) => [name, String(id)]));
}
