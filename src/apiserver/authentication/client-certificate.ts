/** Client certificates: the common name is the user, organizations are the groups. */
import type { TLSSocket } from 'node:tls';
import type { User } from '../request.ts';
import { authenticatedGroup } from './users.ts';

/** A certificate was shown, and does not hold: of another authority, or out of its time. */
export const badCertificate = 'bad certificate';

interface CertifiedUser {
  readonly user: User | typeof badCertificate | undefined;
  readonly notAfterMs: number;
}

/** One answer per connection: its certificate does not change. */
const ofConnection = new WeakMap<TLSSocket, CertifiedUser>();

/** The user of the connection's certificate; undefined when it showed none. */
export function certificateUser(socket: TLSSocket, nowMs: number): User | typeof badCertificate | undefined {
  let certified = ofConnection.get(socket);
  if (certified === undefined) {
    certified = readCertificate(socket);
    ofConnection.set(socket, certified);
  }
  if (certified.user !== undefined && nowMs > certified.notAfterMs) return badCertificate;
  return certified.user;
}

function readCertificate(socket: TLSSocket): CertifiedUser {
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return { user: undefined, notAfterMs: Infinity };
  if (!socket.authorized) return { user: badCertificate, notAfterMs: Infinity };
  const { subject } = certificate.toLegacyObject();
  const name = asList(subject.CN)[0];
  if (name === undefined || name === '') return { user: undefined, notAfterMs: Infinity };
  return {
    user: {
      name,
      uid: '',
      groups: [...asList(subject.O), authenticatedGroup],
      extra: { 'authentication.kubernetes.io/credential-id': [`X509SHA256=${certificate.fingerprint256.replaceAll(':', '').toLowerCase()}`] },
    },
    notAfterMs: certificate.validToDate.getTime(),
  };
}

function asList(value: string | readonly string[] | undefined): readonly string[] {
  if (value === undefined) return [];
  return typeof value === 'string' ? [value] : value;
}
