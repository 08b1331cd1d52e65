/** A data directory that cannot be had; its message names it, and is shown as it is. */
export class DataDirectoryError extends Error {
  override readonly name = 'DataDirectoryError';
}
