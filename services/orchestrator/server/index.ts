export * from './api.js';
export { type RunningServer, type ServerOptions, startServer, VERSION_HEADER } from './server.js';
export type { FaultSupport } from './testbed-access.js';
