/** Deletes certificate requests that are done with, one way or another. Upstream's `pkg/controller/certificates/cleaner`. */
import { CertificateSigningRequest } from '../../api/kinds.ts';
import type { ControllerDefinition } from '../controller.ts';
import { ignoreGone } from '../errors.ts';
import { hasCondition, isDecided, isIssued } from './recognize.ts';

const hourMs = 60 * 60_000;
const pendingMs = 24 * hourMs;

export const certificateCleaner: ControllerDefinition = {
  name: 'certificatesigningrequest-cleaner-controller',
  serviceAccount: 'certificate-controller',
  setup(context) {
    const { client, world } = context;
    const enqueue = ({ metadata }: CertificateSigningRequest): void => context.enqueue(metadata.name);
    const requests = context.watch(CertificateSigningRequest, { added: enqueue, updated: enqueue });
    return {
      async reconcile(name) {
        const request = requests.get(name);
        if (!request) return undefined;
        const { certificateEndMs } = isIssued(request) ? await import('./x509.ts') : { certificateEndMs: () => undefined };
        const leftMs = endMs(request, certificateEndMs(request.status.certificate ?? '')) - world.clock.now();
        if (leftMs > 0) return { requeueAfterMs: leftMs };
        await client
          .resource(CertificateSigningRequest)
          .delete(name, { preconditions: { uid: request.metadata.uid } })
          .catch(ignoreGone);
        return undefined;
      },
    };
  },
};

/** When a request is of no more use: an hour after it was decided or failed, a day after nobody decided, or when its certificate ends. */
export function endMs({ metadata, status }: CertificateSigningRequest, certificateEnd: number | undefined): number {
  const createdMs = Date.parse(metadata.creationTimestamp);
  const decided = (status.conditions ?? []).map(({ lastUpdateTime }) => (lastUpdateTime === undefined ? createdMs : Date.parse(lastUpdateTime)));
  const ends = [certificateEnd ?? Infinity];
  if (isDecided({ status }) || hasCondition(status, 'Failed')) ends.push(Math.max(...decided) + hourMs);
  else ends.push(createdMs + pendingMs);
  return Math.min(...ends);
}
