/** Creates config maps over HTTPS with so many requests in flight, and prints how many a second. usage: load.ts PORT TOKEN NAMESPACE COUNT IN-FLIGHT */
import { Agent, request } from 'node:https';

const [port, token, namespace, countText, inFlightText] = process.argv.slice(2);
const [count, inFlight] = [Number(countText), Number(inFlightText)];
const agent = new Agent({ keepAlive: true, maxSockets: inFlight, rejectUnauthorized: false });
const value = 'x'.repeat(200);

function create(index: number): Promise<void> {
  const body = JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: `load-${index}`, labels: { app: 'load' } }, data: { value } });
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port: Number(port), path: `/api/v1/namespaces/${namespace}/configmaps`, method: 'POST', headers, agent };
    const call = request(options, (response) => {
      response.resume();
      response.on('end', () => (response.statusCode === 201 ? resolve() : reject(new Error(`answered ${response.statusCode}`))));
    });
    call.on('error', reject);
    call.end(body);
  });
}

let next = 0;
async function worker(): Promise<void> {
  while (next < count) await create(next++);
}

const begin = performance.now();
await Promise.all(Array.from({ length: inFlight }, worker));
console.log(count / ((performance.now() - begin) / 1000));
agent.destroy();
