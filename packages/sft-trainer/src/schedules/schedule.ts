/** How the learning rate goes, as a factor on its peak. */
export interface Schedule {
  /** @param step 0 at the first optimizer step. */
  factor(step: number): number
  /** What `reduce_lr_on_plateau` waits for: called after each evaluation with the value of `metricForBestModel`. */
  onMetric?(value: number): void
  /** Plain JSON to continue from; `{}` when the factor follows from the step alone. */
  state(): Record<string, number>
  load(state: Record<string, number>): void
}
