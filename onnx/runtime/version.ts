/** The runtime's name and version, e.g. `onnxruntime-node 1.30.0`. */
export async function runtimeVersion(): Promise<string> {
  const { env } = await import('onnxruntime-node');
  return `onnxruntime-node ${(env.versions as { node?: string }).node ?? env.versions.common}`;
}
