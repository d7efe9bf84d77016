/** Who asks for a certificate is written into the request by the server, so that whoever approves and signs it can rely on it. */
import { CertificateSigningRequest } from '../../api/kinds.ts';
import { type AdmissionPlugin, isWriteOf } from './admission.ts';

export const certificateRequester: AdmissionPlugin = {
  name: 'CertificateRequester',
  admit(request) {
    if (!isWriteOf(request, CertificateSigningRequest, 'CREATE')) return;
    const made = request.object as CertificateSigningRequest | undefined;
    if (!made?.spec) return;
    const { name, uid, groups, extra } = request.user;
    const { username: _name, uid: _uid, groups: _groups, extra: _extra, ...asked } = made.spec;
    made.spec = {
      ...asked,
      username: name,
      ...(uid !== '' && { uid }),
      groups: [...groups],
      ...(Object.keys(extra).length > 0 && { extra: Object.fromEntries(Object.entries(extra).map(([key, values]) => [key, [...values]])) }),
    };
  },
};
