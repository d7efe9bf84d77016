/** All there is of a cluster at one moment, as data: enough to go on from there, here or in another cluster. */
import type { StoreImage } from '../../store/memory.ts';
import type { Moment } from '../../world/simulated.ts';
import type { MachineState } from './simulated-nodes.ts';

export interface Snapshot {
  /** The store's revision: what `resourceVersion` goes by. */
  readonly revision: number;
  readonly store: StoreImage;
  readonly machines: readonly MachineState[];
  /** Of the last node added. */
  readonly lastNode: number;
  /** Time and chance, of a cluster on a virtual clock. */
  readonly moment: Moment | undefined;
}
