import type { OrchestratorMetrics } from '../metrics/metrics.js';
import type { BlobStore } from './blob-store.js';
import type { Studies } from './studies.js';
import type { TestbedAccess } from './testbed-access.js';

/** What the routes work with. */
export interface ServerContext {
  readonly studies: Studies;
  readonly blobs: BlobStore;
  readonly access: TestbedAccess;
  readonly metrics: OrchestratorMetrics;
  readonly startedAt: string;
  /** Between two signs of life on an event stream. */
  readonly heartbeatMs: number;
  /** Aborted when the server closes. */
  readonly closing: AbortSignal;
}
