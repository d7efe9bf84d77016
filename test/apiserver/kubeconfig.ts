/** A kubeconfig for the administrator of a test's server. */
import type { TestServer } from './server.ts';

export function kubeconfigOf({ port, ca, admin }: TestServer): object {
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  return {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'c', cluster: { server: `https://127.0.0.1:${port}`, 'certificate-authority-data': base64(ca.certificate) } }],
    users: [{ name: 'u', user: { 'client-certificate-data': base64(admin.certificate), 'client-key-data': base64(admin.key) } }],
    contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
    'current-context': 'x',
  };
}
