/** No build of uWebSockets.js fits this Node and C library. The message is for the operator. */
export class UnsupportedRuntimeError extends Error {
  override readonly name = 'UnsupportedRuntimeError';
}
