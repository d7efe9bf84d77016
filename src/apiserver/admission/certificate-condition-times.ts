/** Conditions of a certificate request say when they came and when they last changed: the server fills in what whoever approves or signs leaves out. */
import { CertificateSigningRequest } from '../../api/kinds.ts';
import { timestamp, type World } from '../../world/world.ts';
import { type AdmissionPlugin, concernsOnly } from './admission.ts';

export function certificateConditionTimes(world: World): AdmissionPlugin {
  return {
    name: 'CertificateConditionTimes',
    concerns: concernsOnly(CertificateSigningRequest),
    admit(request) {
      if (request.operation !== 'UPDATE' || (request.subresource !== 'approval' && request.subresource !== 'status')) return;
      const object = request.object as CertificateSigningRequest | undefined;
      const before = (request.oldObject as CertificateSigningRequest | undefined)?.status.conditions ?? [];
      const conditions = object?.status.conditions;
      if (object === undefined || conditions === undefined) return;
      const now = timestamp(world.clock.now());
      const timed = conditions.map((condition) => {
        const same = before.find(({ type, status }) => type === condition.type && status === condition.status);
        return {
          ...condition,
          lastUpdateTime: condition.lastUpdateTime ?? same?.lastUpdateTime ?? now,
          lastTransitionTime: condition.lastTransitionTime ?? same?.lastTransitionTime ?? now,
        };
      });
      object.status = { ...object.status, conditions: timed };
    },
  };
}
