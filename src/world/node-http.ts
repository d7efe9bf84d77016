/**
 * Node's HTTP, asked for by name instead of imported: an import reads every name that the module exports, `WebSocket` among them, and so loads the whole of
 * `fetch` and its kin, which is 10 MiB in a process that uses neither. Its types may be imported as usual.
 */
export const { Agent, createServer, request, STATUS_CODES } = process.getBuiltinModule('node:http');
