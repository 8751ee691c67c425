// What all tables can be told.

export interface TableOptions {
  /** Of the table's cases; all by default. */
  readonly only: readonly string[] | undefined;
  /** Of the peers; all by default. */
  readonly peers: readonly string[] | undefined;
  readonly reps: number;
  /** A system that has worked this long on a case is not measured again. */
  readonly seconds: number;
  /** What one measurement may take, in seconds. */
  readonly limit: number;
  /** When nothing more is begun, as `performance.now()` has it. */
  readonly deadline: number;
  /** Folders with published weights. */
  readonly models: readonly string[];
  /** Sizes that show that it works, on a machine without a GPU. */
  readonly quick: boolean;
}
