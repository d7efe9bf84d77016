/** For tests: a webhook's server over TLS, with a certificate of its own making. */
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
// oxlint-disable-next-line import/no-unassigned-import -- @peculiar/x509 needs it to be there
import 'reflect-metadata';
import { BasicConstraintsExtension, SubjectAlternativeNameExtension, X509CertificateGenerator } from '@peculiar/x509';

/** What a webhook is told, as far as tests look at it. */
export interface AskedReview {
  readonly uid: string;
  readonly operation: string;
  readonly name?: string;
  readonly namespace?: string;
  readonly dryRun: boolean;
  readonly subResource?: string;
  readonly kind: { readonly group: string; readonly version: string; readonly kind: string };
  readonly userInfo: { readonly username: string };
  readonly object: ReturnType<JSON['parse']>;
  readonly oldObject: ReturnType<JSON['parse']>;
}

export interface TestWebhook {
  readonly port: number;
  /** For `clientConfig`. */
  readonly caBundle: string;
  url(path: string): string;
  /** What was asked, with the path each came on. */
  readonly asked: { readonly path: string; readonly request: AskedReview }[];
  close(): Promise<void>;
}

/** The answer's fields besides its uid; undefined to answer nothing at all. */
export type Answerer = (request: AskedReview, path: string) => object | undefined | Promise<object>;

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

/** `names` are the DNS names the certificate is for, besides 127.0.0.1. */
export async function startTestWebhook(answer: Answerer, names: readonly string[] = []): Promise<TestWebhook> {
  const { certificate, key } = await selfSigned(names);
  const asked: TestWebhook['asked'] = [];
  const server = createServer({ cert: certificate, key }, (incoming, outgoing) => {
    let body = '';
    incoming.on('data', (chunk: Buffer) => (body += chunk.toString()));
    incoming.on('end', () => {
      const path = (incoming.url ?? '').replace(/\?.*/, '');
      const { request } = JSON.parse(body) as { request: AskedReview };
      asked.push({ path, request });
      const respond = (response: object | undefined): void => {
        if (!response) return;
        outgoing.writeHead(200, { 'content-type': 'application/json' });
        outgoing.end(JSON.stringify({ kind: 'AdmissionReview', apiVersion: 'admission.k8s.io/v1', response: { uid: request.uid, ...response } }));
      };
      const response = answer(request, path);
      if (response instanceof Promise) response.then(respond, () => outgoing.destroy());
      else respond(response);
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '0.0.0.0', resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    port,
    caBundle: Buffer.from(certificate).toString('base64'),
    url: (path) => `https://127.0.0.1:${port}${path}`,
    asked,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => {
        server.close(resolve);
      });
    },
  };
}

/** An answer that allows with these changes. */
export function patching(...operations: readonly object[]): object {
  return { allowed: true, patchType: 'JSONPatch', patch: Buffer.from(JSON.stringify(operations)).toString('base64') };
}

export async function selfSigned(names: readonly string[]): Promise<{ certificate: string; key: string }> {
  const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const alternatives = [{ type: 'ip' as const, value: '127.0.0.1' }, ...names.map((value) => ({ type: 'dns' as const, value }))];
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: 'CN=webhook',
    notBefore: new Date('2020-01-01'),
    notAfter: new Date('2100-01-01'),
    signingAlgorithm: algorithm,
    keys,
    extensions: [new BasicConstraintsExtension(true), new SubjectAlternativeNameExtension(alternatives)],
  });
  const pkcs8 = Buffer.from(await crypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
  return { certificate: certificate.toString('pem'), key: `-----BEGIN PRIVATE KEY-----\n${pkcs8}\n-----END PRIVATE KEY-----\n` };
}
