import assert from 'node:assert/strict';
import { test } from 'node:test';
import { breaches } from './check.ts';

const cases: readonly { name: string; path: string; text: string; breach: RegExp | undefined }[] = [
  { name: 'an allowed import', path: 'src/api/a.ts', text: `import { x } from '../machinery/x.ts';`, breach: undefined },
  { name: 'an import within the folder', path: 'src/kubelet/runtime/a.ts', text: `import { x } from '../x.ts';`, breach: undefined },
  {
    name: 'a sibling',
    path: 'src/scheduler/a.ts',
    text: `import { x } from '../kubelet/x.ts';`,
    breach: /a\.ts:1: scheduler may not import kubelet/,
  },
  {
    name: 'the store from outside the API server',
    path: 'src/controllers/a.ts',
    text: `\nimport { x } from '../store/x.ts';`,
    breach: /a\.ts:2: .*may not import store/,
  },
  { name: 'a re-export', path: 'src/machinery/a.ts', text: `export { x } from '../api/x.ts';`, breach: /may not import api/ },
  { name: 'a dynamic import', path: 'src/machinery/a.ts', text: `const x = await import('../api/x.ts');`, breach: /may not import api/ },
  { name: 'an import over several lines', path: 'src/machinery/a.ts', text: `import {\n  x,\n} from '../api/x.ts';`, breach: /may not import api/ },
  { name: 'a folder without a line', path: 'src/stuff/a.ts', text: '', breach: /has no line/ },
  { name: 'an import from outside src', path: 'src/api/a.ts', text: `import { x } from '../../test/x.ts';`, breach: /outside src/ },
  { name: 'the clock', path: 'src/api/a.ts', text: 'const t = Date.now();', breach: /"Date\.now" outside world/ },
  { name: 'the clock in prose', path: 'src/api/a.ts', text: '// never Date.now here', breach: undefined },
  { name: 'the clock in world', path: 'src/world/a.ts', text: 'const t = Date.now();', breach: undefined },
  { name: 'a parsed date', path: 'src/api/a.ts', text: 'const t = new Date(text);', breach: undefined },
  {
    name: 'an import of HTTP',
    path: 'src/proxy/a.ts',
    text: `import { type Server, createServer } from 'node:http';`,
    breach: /a\.ts:1: node:http is taken from/,
  },
  { name: 'types of HTTP', path: 'src/proxy/a.ts', text: `import type { Server } from 'node:http';`, breach: undefined },
  { name: 'a banned name', path: 'src/api/utils.ts', text: '', breach: /nothing is called "utils"/ },
];

for (const { name, path, text, breach } of cases) {
  test(`the layer check ${breach ? 'finds' : 'allows'} ${name}`, () => {
    const found = breaches([{ path, text }]);
    if (breach) assert.match(found.join('\n'), breach);
    else assert.deepEqual(found, []);
  });
}

test('what a process is not to load is found on whatever way, with the way', () => {
  const agent = { path: 'src/cluster/node-agent.ts', text: `import { p } from '../proxy/p.ts';` };
  const loads = { path: 'src/proxy/p.ts', text: `import { Service } from '../api/kinds.ts';` };
  const borrows = { path: 'src/proxy/p.ts', text: `import type { Service } from '../api/kinds.ts';\nconst x = await import('../api/kinds.ts');` };
  const kinds = { path: 'src/api/kinds.ts', text: '' };
  assert.deepEqual(breaches([agent, borrows, kinds]), []);
  assert.deepEqual(breaches([agent, loads, kinds]), [
    'src/proxy/p.ts:1: src/cluster/node-agent.ts is not to load src/api/kinds.ts, and does by src/cluster/node-agent.ts → src/proxy/p.ts → src/api/kinds.ts',
  ]);
});
