/** No build of uWebSockets.js fits this Node and C library. The message is for whoever starts the service. */
export class UnsupportedRuntimeError extends Error {
  override readonly name = 'UnsupportedRuntimeError';
}
