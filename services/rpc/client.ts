export { type CallOptions, type ConnectOptions, connect, RpcChannel } from './channel.js';
export { InferenceClient } from './inference-client.js';
export { LinkAgentClient } from './link-agent-client.js';
export { NodeClient } from './node-client.js';
