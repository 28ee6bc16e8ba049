export { OrchestratorMetrics } from './metrics/metrics.js';
export { planFile } from './plan/plan-file.js';
export { planTable } from './plan/plan-table.js';
export { type RunOptions, type RunResult, runStudy } from './run/run.js';
export { findRuntime, RUNTIMES } from './runtimes/index.js';
export { type PackedStudy, packStudy } from './study/pack.js';
export { checkStudy, resolveStudy } from './study/resolve.js';
export { loadStudy } from './study/study.js';
