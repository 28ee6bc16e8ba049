/**
 * Keeps ONNX Runtime from collecting telemetry: since 1.30 its library for Linux begins a thread for that when it is
 * loaded, which would take processor time of what is measured. The library looks for `ORT_DISABLE_TELEMETRY` (it is among
 * the strings of libonnxruntime.so.1, and the thread stays away) in the environment of the process, which only the main
 * thread can change: so this is to be called there, before the library is loaded in any thread.
 */
export function disableTelemetry(): void {
  process.env.ORT_DISABLE_TELEMETRY ??= '1';
}
