/**
 * An AbortSignal that Ctrl-C and SIGTERM abort, so that a command can end in good order. A second Ctrl-C ends the
 * process at once.
 *
 * @param graceMs how long the command may take for that before the process is ended all the same; what is to be undone
 *   then is undone as it exits (base/clean-up.ts)
 */
export function stopSignal(graceMs?: number): { readonly signal: AbortSignal; dispose(): void } {
  const controller = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const stop = (): void => {
    if (controller.signal.aborted) process.exit(130);
    controller.abort();
    if (graceMs !== undefined) timer = setTimeout(() => process.exit(130), graceMs);
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  return {
    signal: controller.signal,
    dispose() {
      clearTimeout(timer);
      process.off('SIGINT', stop);
      process.off('SIGTERM', stop);
    },
  };
}
