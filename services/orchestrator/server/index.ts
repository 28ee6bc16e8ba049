export * from './api.js';
export { type RunningServer, type ServerOptions, startServer, VERSION_HEADER } from './server.js';
export type { FaultBoardFactory } from './testbed-access.js';
