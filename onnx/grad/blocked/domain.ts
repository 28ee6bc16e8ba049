/**
 * Operators on pictures in the blocked layout, for as long as a training graph is being made: nodes of this domain have
 * the shapes and attributes of their namesakes in ai.onnx, gradient rules of their own, and become nodes that ONNX
 * Runtime has (`lower`) when the gradients are there.
 *
 * In the blocked layout a picture [N, C, H, W] lies in memory as [N, C / b, H, W, b], with C filled up to a multiple of
 * the block b, which is what a vector register of the processor holds: ONNX Runtime's NCHWc kernels (its domain
 * com.microsoft.nchwc) work on it without rearranging anything, and are up to ten times as fast as those on the plain
 * layout when weights are not known before a run, as in training.
 */
export const BLOCKED = 'tierbed.blocked';

/** ONNX Runtime's own domain of kernels on the blocked layout. */
export const NCHWC = 'com.microsoft.nchwc';
