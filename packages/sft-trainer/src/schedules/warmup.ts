/** The linear rise from 0 that almost all schedules begin with. */
export const warmup = (step: number, warmupSteps: number) => step / Math.max(1, warmupSteps)

/** How much of the way from the end of the warmup to `totalSteps` is done; 1 at the end, more after it. */
export const afterWarmup = (step: number, warmupSteps: number, totalSteps: number) =>
  (step - warmupSteps) / Math.max(1, totalSteps - warmupSteps)
