/** The labels and annotations by which a kubelet finds its pods again in the runtime; the same names as upstream's, which other tools read too. */

export const podNameLabel = 'io.kubernetes.pod.name';
export const podNamespaceLabel = 'io.kubernetes.pod.namespace';
export const podUidLabel = 'io.kubernetes.pod.uid';
export const containerNameLabel = 'io.kubernetes.container.name';

export const hashAnnotation = 'io.kubernetes.container.hash';
export const restartCountAnnotation = 'io.kubernetes.container.restartCount';
export const terminationMessagePathAnnotation = 'io.kubernetes.container.terminationMessagePath';
export const terminationMessagePolicyAnnotation = 'io.kubernetes.container.terminationMessagePolicy';
export const gracePeriodAnnotation = 'io.kubernetes.pod.terminationGracePeriod';
/** Own: the host path of this instance's termination log, which a restarted kubelet must find again. */
export const terminationLogAnnotation = 'io.kubernetes.container.terminationLog';
