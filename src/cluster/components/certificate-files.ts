/** Serving certificates that change on disk are served without a restart: looked at every few seconds, taken when they fit together. */
import type { ApiServer } from '../../apiserver/api-server.ts';
import type { World } from '../../world/world.ts';
import { readCertificates, readPair } from './files.ts';

export interface CertificateFiles {
  readonly tlsCertFile: string;
  readonly tlsPrivateKeyFile: string;
  readonly clientCaFile: string;
}

const lookEveryMs = 10_000;

/** Ends with what it answers. Files are read, not watched: mounted ones are replaced by moving a link somewhere above them. */
export function followCertificates(files: CertificateFiles, server: Pick<ApiServer, 'replaceCertificates'>, world: World): () => void {
  const read = (): { certificate: string; key: string; clientCa: string } => ({
    ...readPair('--tls-cert-file', files.tlsCertFile, '--tls-private-key-file', files.tlsPrivateKeyFile),
    clientCa: readCertificates('--client-ca-file', files.clientCaFile),
  });
  let served = JSON.stringify(read());
  let complained = '';
  const timer = world.clock.every(lookEveryMs, () => {
    try {
      const found = read();
      const text = JSON.stringify(found);
      if (text === served) return;
      server.replaceCertificates(found);
      served = text;
      complained = '';
      world.log.info('new certificates are served', { file: files.tlsCertFile });
    } catch (error) {
      // The pair is written one file after the other: next time they may fit.
      if (String(error) !== complained) world.log.warn('the certificate files cannot be used; the old ones stay', { error: String(error) });
      complained = String(error);
    }
  });
  return () => timer.cancel();
}
