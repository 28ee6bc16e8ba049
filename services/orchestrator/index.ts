export { type FaultInForce, OrchestratorMetrics } from './metrics.js';
export { type PackedStudy, packStudy } from './pack-study.js';
export { planFile } from './plan-file.js';
export { planTable } from './plan-table.js';
export { checkStudy, resolveStudy } from './resolve.js';
export { type RunOptions, type RunResult, runStudy } from './run.js';
export { findRuntime, RUNTIMES } from './runtimes/index.js';
export { loadStudy } from './study.js';
