/**
 * Issues certificates for approved requests to the cluster's own signers. Upstream's `pkg/controller/certificates/signer`: one authority for all of them, as
 * kubeadm sets it up, or one for each.
 */
import { CertificateSigningRequest } from '../../api/kinds.ts';
import { timestamp } from '../../world/world.ts';
import type { ControllerDefinition, SigningAuthority } from '../controller.ts';
import { messageOf } from '../errors.ts';
import { clientSigner, hasCondition, isIssued, kubeletClientSigner, kubeletServingSigner, refusalOf } from './recognize.ts';

const signers: readonly string[] = [clientSigner, kubeletClientSigner, kubeletServingSigner];
/** Nobody gets a certificate that is no use by the time it arrives. */
const shortestMs = 10 * 60_000;

export const certificateSigningController: ControllerDefinition = {
  name: 'certificatesigningrequest-signing-controller',
  serviceAccount: 'certificate-controller',
  setup(context) {
    const { client, world, options } = context;
    const authorityOf = ({ spec }: CertificateSigningRequest): SigningAuthority | undefined =>
      signers.includes(spec.signerName) ? (options.signingAuthorities?.[spec.signerName] ?? options.signingAuthority) : undefined;
    const awaits = (request: CertificateSigningRequest): boolean =>
      authorityOf(request) !== undefined && hasCondition(request.status, 'Approved') && !hasCondition(request.status, 'Failed') && !isIssued(request);
    const enqueue = (request: CertificateSigningRequest): void => {
      if (awaits(request)) context.enqueue(request.metadata.name);
    };
    const requests = context.watch(CertificateSigningRequest, { added: enqueue, updated: enqueue });

    return {
      async reconcile(name) {
        const request = requests.get(name);
        const authority = request && authorityOf(request);
        if (!request || !authority || !awaits(request)) return;
        const { spec, status } = request;
        const write = async (change: Partial<CertificateSigningRequest['status']>): Promise<void> => {
          await client.resource(CertificateSigningRequest).updateStatus({ ...request, status: { ...status, ...change } });
        };
        const fail = (message: string): Promise<void> => {
          const now = timestamp(world.clock.now());
          const failed = { type: 'Failed', status: 'True', reason: 'SignerValidationFailure', message, lastUpdateTime: now, lastTransitionTime: now };
          return write({ conditions: [...(status.conditions ?? []), failed] });
        };
        const { parseRequest, sign } = await import('./x509.ts');
        let parsed;
        try {
          parsed = await parseRequest(spec.request);
        } catch (error) {
          return fail(`unable to parse csr "${name}": ${messageOf(error)}`);
        }
        const refusal = refusalOf(spec.signerName, parsed.subject, spec.usages ?? []);
        if (refusal !== undefined) return fail(refusal);
        const wantedMs = spec.expirationSeconds === undefined ? options.signingDurationMs : spec.expirationSeconds * 1000;
        const durationMs = Math.max(shortestMs, Math.min(wantedMs, options.signingDurationMs));
        const certificate = await sign(parsed, spec.usages ?? [], authority, { world, durationMs });
        return write({ certificate: Buffer.from(certificate).toString('base64') });
      },
    };
  },
};
