/** A small HTTPS server that answers JSON by path, and remembers what it was asked: webhooks and issuers for tests. */
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { type CertificatePair, createCertificateAuthority, issueCertificate } from '../../src/kubeadm/certificates.ts';
import type { World } from '../../src/world/world.ts';
import type { Json } from './server.ts';

export interface HttpsStub {
  readonly url: string;
  readonly ca: string;
  /** Bodies of the questions so far. */
  readonly asked: Json[];
  /** Answers by path; undefined is a 404, a number a code. */
  answer: (path: string, body: Json) => object | number | undefined;
  close(): Promise<void>;
}

export async function startHttpsStub(world: World): Promise<HttpsStub> {
  const ca: CertificatePair = await createCertificateAuthority(world, 'stub-ca');
  const pair = await issueCertificate(world, { ca, commonName: 'stub', dnsNames: ['localhost'], ipAddresses: ['127.0.0.1'], usages: ['server'] });
  const asked: Json[] = [];
  const server = createServer({ cert: pair.certificate, key: pair.key }, (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const text = Buffer.concat(chunks).toString();
      const body = text === '' ? undefined : JSON.parse(text);
      asked.push(body);
      const answer = stub.answer(request.url ?? '', body) ?? 404;
      response.writeHead(typeof answer === 'number' ? answer : 200, { 'content-type': 'application/json' });
      response.end(typeof answer === 'number' ? '' : JSON.stringify(answer));
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  // It listens on TCP.
  const { port } = server.address() as AddressInfo;
  const stub: HttpsStub = {
    url: `https://127.0.0.1:${port}`,
    ca: ca.certificate,
    asked,
    answer: () => undefined,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return stub;
}
