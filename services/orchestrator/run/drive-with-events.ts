import type { SampleRow } from '../../../analysis/columns.js';
import type { StudyEvents } from '../events/study-events.js';
import { type DriveOptions, drive } from './drive.js';

/** Drives the samples while the study's events happen; whatever ends it, all of these are undone. */
export async function driveWithEvents(
  events: StudyEvents,
  last: SampleRow | undefined,
  signal: AbortSignal,
  options: DriveOptions,
): Promise<void> {
  try {
    await events.begin(last);
    await drive({
      ...options,
      faultDuring: (fromUnixMs, toUnixMs) => events.during(fromUnixMs, toUnixMs),
      signal: AbortSignal.any([signal, events.signal]),
    });
  } catch (error) {
    await events.end().catch(() => {});
    throw events.signal.aborted ? events.signal.reason : error;
  }
  await events.end();
}
