import { createProgress } from './progress.js';

/** Waits for something whose progress is not known, and shows for how long. */
export async function withProgress<T>(label: string, work: Promise<T>): Promise<T> {
  const progress = createProgress();
  const startedMs = performance.now();
  progress.start(label);
  const seconds = (): number => Math.round((performance.now() - startedMs) / 1000);
  const timer = setInterval(() => progress.update(0, `${seconds()} s`), 500);
  try {
    return await work;
  } finally {
    clearInterval(timer);
    progress.stop();
  }
}
