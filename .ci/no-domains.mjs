/**
 * In place of `async-hook-domain`, with which tap follows every promise of a test file, to name the test that an error
 * escaped from: a quarter of the CPU of the whole suite. Without it such an error ends its process, and fails its file.
 */
export class Domain {
  destroy() {
    // Nothing was followed.
  }
}
