declare module 'fs-native-extensions' {
  /** Takes an exclusive lock that goes with the open file; false when another open file has it. */
  export function tryLock(fd: number): boolean;
}
