/**
 * Node's modules for HTTP, for clients that most clusters in a test never use: loaded when first asked for. An `import` of `node:http` would load all it can
 * name, a whole `fetch` and WebSocket among it, which takes longer than a cluster does to start.
 */

export function http(): typeof import('node:http') {
  return process.getBuiltinModule('node:http');
}

export function https(): typeof import('node:https') {
  return process.getBuiltinModule('node:https');
}
