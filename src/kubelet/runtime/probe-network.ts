/** How probes and lifecycle hooks reach a container over the network: really, or in a simulated runtime that answers for its containers. */

export interface HttpProbeRequest {
  /** Lets a simulated network answer for the container without a network. */
  readonly containerId: string;
  readonly scheme: 'HTTP' | 'HTTPS';
  readonly host: string;
  readonly port: number;
  readonly path: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly timeoutMs: number;
}

export interface TcpProbeRequest {
  readonly containerId: string;
  readonly host: string;
  readonly port: number;
  readonly timeoutMs: number;
}

export interface GrpcProbeRequest extends TcpProbeRequest {
  readonly service: string;
}

export interface ProbeNetwork {
  /** Rejects when no answer came. Follows redirects to the same host. `body` holds at most 10 KiB. */
  http(request: HttpProbeRequest): Promise<{ readonly status: number; readonly body: string }>;
  tcp(request: TcpProbeRequest): Promise<void>;
  /** The serving status of grpc.health.v1: resolves to `SERVING`, `NOT_SERVING`, …; rejects when no answer came. */
  grpc(request: GrpcProbeRequest): Promise<string>;
}
