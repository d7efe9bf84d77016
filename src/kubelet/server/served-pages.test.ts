import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { HttpError } from './responses.ts';
import { assertServed, defaultPages, type ServedPages } from './served-pages.ts';

const codeOf = (page: string, method: string, pages: Partial<ServedPages> = {}): number => {
  try {
    assertServed(page, method, { ...defaultPages, ...pages });
    return 200;
  } catch (error) {
    assert(error instanceof HttpError);
    return error.statusCode;
  }
};

describe('which pages a kubelet has', () => {
  for (const [page, method, pages, code] of [
    ['exec', 'POST', {}, 200],
    ['exec', 'POST', { debugging: false }, 405],
    ['containerLogs', 'GET', { debugging: false }, 405],
    ['metrics', 'GET', { debugging: false }, 200],
    ['healthz', 'GET', { debugging: false }, 200],
    ['logs', 'GET', {}, 200],
    ['logs', 'GET', { systemLogs: false }, 405],
    ['logs', 'POST', {}, 405],
    ['pods', 'PUT', {}, 405],
    ['stats', 'POST', {}, 200],
    ['toString', 'GET', {}, 200],
  ] as const) {
    test(`${method} ${page} with ${JSON.stringify(pages)} is ${code === 200 ? 'let through' : 'refused'}`, () => {
      assert.equal(codeOf(page, method, pages), code);
    });
  }
});
