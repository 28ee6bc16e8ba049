import { logVerbosity, setLogVerbosity } from '@grpc/grpc-js';

// grpc-js writes to stderr what its callbacks report as well: callers get it once, as an error. GRPC_VERBOSITY brings it back.
if (process.env.GRPC_VERBOSITY === undefined && process.env.GRPC_NODE_VERBOSITY === undefined) {
  setLogVerbosity(logVerbosity.NONE);
}
