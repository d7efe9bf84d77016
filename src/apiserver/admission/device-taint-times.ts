/**
 * Taints of devices say since when they are there: patience is counted from it. The server fills in what a driver leaves out; a taint that was there before keeps its
 * time, so that a driver that publishes its devices anew does not grant anybody more.
 */
import { ResourceSlice } from '../../api/kinds.ts';
import { timestamp, type World } from '../../world/world.ts';
import { type AdmissionPlugin, concernsOnly } from './admission.ts';

export function deviceTaintTimes(world: World): AdmissionPlugin {
  return {
    name: 'DeviceTaintTimes',
    concerns: concernsOnly(ResourceSlice),
    admit(request) {
      if (request.operation !== 'CREATE' && request.operation !== 'UPDATE') return;
      const slice = request.object as ResourceSlice | undefined;
      if (slice === undefined || !slice.spec.devices?.some(({ taints }) => taints?.some(({ timeAdded }) => timeAdded === undefined))) return;
      const before = (request.oldObject as ResourceSlice | undefined)?.spec.devices ?? [];
      const now = timestamp(world.clock.now());
      const devices = slice.spec.devices.map((device) => {
        if (!device.taints) return device;
        const known = before.find(({ name }) => name === device.name)?.taints ?? [];
        const taints = device.taints.map((taint) => {
          const same = known.find(({ key, value, effect }) => key === taint.key && value === taint.value && effect === taint.effect);
          return { ...taint, timeAdded: taint.timeAdded ?? same?.timeAdded ?? now };
        });
        return { ...device, taints };
      });
      slice.spec = { ...slice.spec, devices };
    },
  };
}
