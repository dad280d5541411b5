/** For stores whose log a test does not look at. */
export const quietLog = { info: () => undefined, warn: () => undefined, error: () => undefined };
