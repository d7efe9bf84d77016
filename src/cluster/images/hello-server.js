// The program of the built-in image k8ts.local/hello: answers with its host name and version, and can be told to burn CPU, fail its health check, or end.
import { createServer } from 'node:http';
import { hostname } from 'node:os';

const version = process.env.HELLO_VERSION ?? '0';
const port = Number(process.env.PORT ?? 8080);
const longestBurnMs = 600_000;
let healthy = true;

/** Uses one CPU for so long, in slices, so that other requests are still answered. */
async function burn(ms) {
  for (const end = performance.now() + ms; performance.now() < end;) {
    for (const slice = performance.now() + 10; performance.now() < slice;);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function answer(response, code, text) {
  response.writeHead(code, { 'Content-Type': 'text/plain; charset=utf-8' });
  response.end(`${text}\n`);
}

const server = createServer(async (request, response) => {
  const url = new URL(request.url, 'http://hello');
  const number = (name) => Number(url.searchParams.get(name) ?? 0);
  switch (`${request.method} ${url.pathname}`) {
    case 'GET /':
      answer(response, 200, `hello from ${hostname()}, version ${version}`);
      break;
    case 'GET /healthz':
      answer(response, healthy ? 200 : 500, healthy ? 'ok' : 'told to fail');
      break;
    case 'POST /fail':
      healthy = false;
      answer(response, 200, 'failing from now on');
      break;
    case 'GET /burn':
    case 'POST /burn':
      await burn(Math.min(number('ms') || 1000, longestBurnMs));
      answer(response, 200, 'burned');
      break;
    case 'GET /exit':
    case 'POST /exit':
      response.once('finish', () => process.exit(number('code')));
      answer(response, 200, 'bye');
      break;
    default:
      answer(response, 404, 'not found');
  }
});

server.listen(port, () => console.log(`hello, version ${version}, listens on port ${port}`));

for (const signal of ['SIGTERM', 'SIGINT']) {
  process.once(signal, () => {
    console.log(`${signal}: finishing what is under way`);
    server.close(() => process.exit(0));
    server.closeIdleConnections();
  });
}
