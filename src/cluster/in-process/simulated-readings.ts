/** Reads simulated nodes straight from their runtimes, which know what their containers use at every moment. */
import type { ContainerStats } from '../../kubelet/runtime/runtime.ts';
import { containerNameLabel, podNameLabel, podNamespaceLabel } from '../../kubelet/labels.ts';
import type { ContainerSample, NodeReading } from '../../metrics/node-reading.ts';
import type { ReadingSource } from '../../metrics/node-readings.ts';
import type { Machine } from './simulated-nodes.ts';

/** `machineOf` answers a machine whose kubelet runs. */
export function simulatedReadings(machineOf: (node: string) => Machine | undefined): ReadingSource {
  return {
    isInstant: true,
    async read({ metadata: { name } }): Promise<NodeReading> {
      const machine = machineOf(name);
      if (machine === undefined) throw new Error('its kubelet does not run');
      const containers = (await machine.runtime.containerStats()).map(sampleOf);
      const total = (read: (sample: ContainerSample) => number): number => containers.reduce((sum, sample) => sum + read(sample), 0);
      const node = {
        timeMs: machine.world.clock.now(),
        cpuNanoseconds: total(({ cpuNanoseconds }) => cpuNanoseconds),
        cpuNanoCores: total(({ cpuNanoCores = 0 }) => cpuNanoCores),
        memoryBytes: total(({ memoryBytes }) => memoryBytes),
      };
      return { node, containers };
    },
  };
}

function sampleOf({ labels, timestampMs, cpuNanoseconds, cpuNanoCores = 0, memoryWorkingSetBytes }: ContainerStats): ContainerSample {
  return {
    namespace: labels[podNamespaceLabel] ?? '',
    pod: labels[podNameLabel] ?? '',
    container: labels[containerNameLabel] ?? '',
    timeMs: timestampMs,
    cpuNanoseconds,
    cpuNanoCores,
    memoryBytes: memoryWorkingSetBytes,
    startedMs: 0,
  };
}
