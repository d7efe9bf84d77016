/** For tests: a conversion webhook's server over TLS, and a definition with two versions whose objects it converts. */
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { selfSigned } from '../admission/webhooks/test-webhook.ts';

/** Any JSON value, read by path. */
export type Json = ReturnType<JSON['parse']>;

export interface AskedConversion {
  readonly uid: string;
  readonly desiredAPIVersion: string;
  readonly objects: readonly Json[];
}

/** The whole answer; undefined to close the connection without one. */
export type ConversionAnswerer = (request: AskedConversion) => Json;

export interface TestConverter {
  readonly port: number;
  readonly caBundle: string;
  readonly asked: AskedConversion[];
  /** Answers so from now on. */
  answer: ConversionAnswerer;
  close(): Promise<void>;
}

export async function startTestConverter(answer: ConversionAnswerer = splitHost, names: readonly string[] = []): Promise<TestConverter> {
  const { certificate, key } = await selfSigned(names);
  const asked: AskedConversion[] = [];
  const server = createServer({ cert: certificate, key }, (incoming, outgoing) => {
    let body = '';
    incoming.on('data', (chunk: Buffer) => (body += chunk.toString()));
    incoming.on('end', () => {
      const { request } = JSON.parse(body) as { request: AskedConversion };
      asked.push(request);
      const response = converter.answer(request);
      if (response === undefined) {
        incoming.socket.destroy();
        return;
      }
      outgoing.writeHead(200, { 'content-type': 'application/json' });
      outgoing.end(JSON.stringify(response));
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  const converter: TestConverter = {
    port,
    caBundle: Buffer.from(certificate).toString('base64'),
    asked,
    answer,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => {
        server.close(resolve);
      });
    },
  };
  return converter;
}

export function reviewAnswer(response: object): object {
  return { kind: 'ConversionReview', apiVersion: 'apiextensions.k8s.io/v1', response };
}

/** `hostPort: "localhost:1234"` in v1 is `host` and `port` in v2. */
export function splitHost({ uid, desiredAPIVersion, objects }: AskedConversion): object {
  const convertedObjects = objects.map((object) => {
    const converted = structuredClone(object);
    converted.apiVersion = desiredAPIVersion;
    if (desiredAPIVersion.endsWith('/v2')) {
      const [host, port] = String(object.hostPort ?? ':').split(':');
      delete converted.hostPort;
      return { ...converted, host, port };
    }
    delete converted.host;
    delete converted.port;
    return { ...converted, hostPort: `${object.host ?? ''}:${object.port ?? ''}` };
  });
  return reviewAnswer({ uid, result: { status: 'Success' }, convertedObjects });
}

const text = { type: 'string' };

/** v1 is stored, unless the storage says otherwise. */
export function endpointDefinition(clientConfig: object, storage = 'v1') {
  const version = (name: string, properties: object) => ({
    name,
    served: true,
    storage: name === storage,
    selectableFields: [{ jsonPath: name === 'v1' ? '.hostPort' : '.host' }],
    schema: { openAPIV3Schema: { type: 'object', properties } },
  });
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'endpointers.stable.example.com' },
    spec: {
      group: 'stable.example.com',
      scope: 'Namespaced',
      names: { plural: 'endpointers', kind: 'Endpointer' },
      conversion: { strategy: 'Webhook', webhook: { conversionReviewVersions: ['v1', 'v1beta1'], clientConfig } },
      versions: [
        version('v1', { hostPort: text }),
        version('v2', { host: { ...text, maxLength: 20 }, port: text, protocol: { ...text, default: 'tcp' } }),
      ],
    },
  };
}
