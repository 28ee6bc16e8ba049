export { decodeInferRequest, decodeInferResponse, decodeStreamResponse } from './decode.js';
export { encodeInferRequest, encodeInferResponse, encodeStreamResponse } from './encode.js';
