// The orchestrator's own run of the calibration job, off the thread that its user and the API talk to.
import { parentPort, workerData } from 'node:worker_threads';
import { type CalibrationOrder, timeJobs } from '../../node/calibration-job.js';

parentPort?.postMessage(timeJobs(workerData as CalibrationOrder));
