/**
 * `kube-system/extension-apiserver-authentication`: what servers behind the aggregator need to know to believe whom it says a request is from. See
 * https://kubernetes.io/docs/tasks/extend-kubernetes/configure-aggregation-layer/
 */
import type { RequestHeaderOptions } from '../authentication/request-header.ts';

export const authenticationConfig = { namespace: 'kube-system', name: 'extension-apiserver-authentication' } as const;

export function authenticationConfigData(clientCa: string, requestHeader: RequestHeaderOptions | undefined): Record<string, string> {
  return {
    'client-ca-file': clientCa,
    ...(requestHeader && {
      'requestheader-allowed-names': JSON.stringify(requestHeader.allowedNames),
      'requestheader-client-ca-file': requestHeader.clientCa,
      'requestheader-extra-headers-prefix': JSON.stringify(requestHeader.extraHeaderPrefixes),
      'requestheader-group-headers': JSON.stringify(requestHeader.groupHeaders),
      'requestheader-uid-headers': JSON.stringify(requestHeader.uidHeaders),
      'requestheader-username-headers': JSON.stringify(requestHeader.usernameHeaders),
    }),
  };
}
