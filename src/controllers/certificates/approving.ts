/**
 * Approves the client certificates that kubelets ask for at their start and renew, when who asks may do so. Upstream's
 * `pkg/controller/certificates/approver`; what goes beyond it is in `node-certificates.ts`.
 */
import { CertificateSigningRequest, Node, SubjectAccessReview } from '../../api/kinds.ts';
import { timestamp } from '../../world/world.ts';
import type { ControllerDefinition } from '../controller.ts';
import { askingNode, needsNodes, nodeApproval } from './node-certificates.ts';
import { autoApprovals, isDecided, isIssued, type RequestedSubject } from './recognize.ts';

export const certificateApprovingController: ControllerDefinition = {
  name: 'certificatesigningrequest-approving-controller',
  serviceAccount: 'certificate-controller',
  setup(context) {
    const { client, world } = context;
    const enqueue = (request: CertificateSigningRequest): void => {
      if (!isDecided(request) && !isIssued(request)) context.enqueue(request.metadata.name);
    };
    const requests = context.watch(CertificateSigningRequest, { added: enqueue, updated: enqueue });

    async function mayHave({ spec }: CertificateSigningRequest, subresource: string): Promise<boolean> {
      const review = await client.resource(SubjectAccessReview).create({
        metadata: {},
        spec: {
          user: spec.username ?? '',
          groups: spec.groups ?? [],
          ...(spec.uid !== undefined && { uid: spec.uid }),
          ...(spec.extra && { extra: spec.extra }),
          resourceAttributes: { group: 'certificates.k8s.io', resource: 'certificatesigningrequests', verb: 'create', subresource, version: '*' },
        },
      });
      return review.status.allowed;
    }

    async function waysOf(request: CertificateSigningRequest, subject: RequestedSubject): Promise<{ subresource: string; message: string }[]> {
      const upstreams = autoApprovals(request, subject);
      if (upstreams.length > 0 || askingNode(request) === undefined) return [...upstreams];
      const nodes = needsNodes(request) ? (await client.resource(Node).list()).items : [];
      return [nodeApproval(request, subject, nodes) ?? []].flat();
    }

    return {
      async reconcile(name) {
        const request = requests.get(name);
        if (!request || isDecided(request) || isIssued(request)) return;
        const { parseRequest } = await import('./x509.ts');
        const { subject } = await parseRequest(request.spec.request);
        const ways = await waysOf(request, subject);
        for (const { subresource, message } of ways) {
          if (!(await mayHave(request, subresource))) continue;
          const now = timestamp(world.clock.now());
          const approved = { type: 'Approved', status: 'True', reason: 'AutoApproved', message, lastUpdateTime: now, lastTransitionTime: now };
          const conditions = [...(request.status.conditions ?? []), approved];
          await client.transport.request({
            method: 'PUT',
            path: `/apis/certificates.k8s.io/v1/certificatesigningrequests/${name}/approval`,
            body: { ...request, status: { ...request.status, conditions } },
          });
          return;
        }
        // Rights may come yet: bindings are often made after the request.
        if (ways.length > 0)
          throw new Error(`recognized csr "${name}" as [${ways.map((way) => way.subresource).join(' ')}] but subject access review was not approved`);
      },
    };
  },
};
