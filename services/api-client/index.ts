export { ApiClient, WrongToken } from './client.js';
export { type ApiChoice, apiUrl, connectApi } from './connect.js';
export { downloadResults } from './download.js';
export { type FollowOptions, followStudy, isOver, type StreamEvent } from './events.js';
export { COMPOSE_FILE } from './find-token.js';
export { uploadFiles } from './upload.js';
