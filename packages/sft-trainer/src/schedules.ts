export const SCHEDULES = ['linear', 'cosine', 'constant', 'constant_with_warmup'] as const
export type ScheduleName = (typeof SCHEDULES)[number]

/**
 * The factor on the peak learning rate at a step, as in transformers' `get_scheduler`.
 *
 * @param step 0 at the first optimizer step.
 * @param warmupSteps steps over which the factor rises from 0 to 1.
 * @param totalSteps where `linear` and `cosine` reach 0.
 */
export function scheduleFactor(name: ScheduleName, step: number, warmupSteps: number, totalSteps: number): number {
  if (name === 'constant') return 1
  if (step < warmupSteps) return step / Math.max(1, warmupSteps)
  const progress = (step - warmupSteps) / Math.max(1, totalSteps - warmupSteps)
  switch (name) {
    case 'linear':
      return Math.max(0, 1 - progress)
    case 'cosine':
      return Math.max(0, 0.5 * (1 + Math.cos(Math.PI * progress)))
    case 'constant_with_warmup':
      return 1
  }
}
