import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import type { Service } from '../api/kinds.ts';
import { simulatedWorld } from '../world/simulated.ts';
import { HealthCheckPorts } from './health-check-ports.ts';

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function local(healthCheckNodePort: number): Service {
  const metadata = { name: 'web', namespace: 'shop', uid: 'u', resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' };
  const spec = { type: 'LoadBalancer', externalTrafficPolicy: 'Local', healthCheckNodePort };
  return { apiVersion: 'v1', kind: 'Service', metadata, spec, status: {} };
}

test('the port says how many endpoints are here, and keeps the node out while its rules are not as they should be', async () => {
  let healthy = true;
  const ports = new HealthCheckPorts(simulatedWorld(1).log, () => healthy);
  const port = await freePort();
  const asked = async (): Promise<[number, string | null, unknown]> => {
    const response = await fetch(`http://127.0.0.1:${port}/`, { headers: { connection: 'close' } });
    return [response.status, response.headers.get('x-load-balancing-endpoint-weight'), await response.json()];
  };
  const body = (localEndpoints: number): object => ({ service: { namespace: 'shop', name: 'web' }, localEndpoints, serviceProxyHealthy: healthy });
  try {
    ports.set('shop/web', local(port), 2);
    assert.deepEqual(await asked(), [200, '2', body(2)]);
    ports.set('shop/web', local(port), 0);
    assert.deepEqual(await asked(), [503, '0', body(0)]);
    ports.set('shop/web', local(port), 1);
    healthy = false;
    assert.deepEqual(await asked(), [503, '1', body(1)]);
    ports.set('shop/web', undefined, 0);
    await assert.rejects(asked());
  } finally {
    ports.close();
  }
});
