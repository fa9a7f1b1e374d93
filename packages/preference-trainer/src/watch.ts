import type { TrainLog } from '@tunesmith/sft-trainer'

/** Steps that a trend has to last. */
const STEPS = 100

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length

/** The logs of the last steps, when they reach that far back. */
function recent(logs: readonly TrainLog[]): readonly TrainLog[] | undefined {
  const last = logs.at(-1)
  if (!last || last.step < STEPS) return undefined
  return logs.filter(({ step }) => step > last.step - STEPS)
}

/** The chosen answers' reward is lower in each quarter of the last steps than in the one before. */
function falls(logs: readonly TrainLog[]): boolean {
  const rewards = recent(logs)?.map((log) => log['rewards/chosen'] ?? Number.NaN)
  if (!rewards || rewards.length < 4) return false
  const quarter = (i: number) => mean(rewards.slice((i * rewards.length) / 4, ((i + 1) * rewards.length) / 4))
  return [1, 2, 3].every((i) => quarter(i) < quarter(i - 1)) && quarter(3) < 0
}

/** Every pair was told apart in all of the last steps. */
function allRight(logs: readonly TrainLog[]): boolean {
  const last = recent(logs)
  return last !== undefined && last.length > 1 && last.every((log) => log['rewards/accuracies'] === 1)
}

const WARNINGS: [(logs: readonly TrainLog[]) => boolean, string][] = [
  [
    falls,
    `the reward of the chosen answers has fallen for ${STEPS} steps: the model learns to avoid both sides; lower learningRate, raise beta, or add the loss "sft" (lossType: ['sigmoid', 'sft'])`,
  ],
  [
    allRight,
    `every pair has been told apart for ${STEPS} steps: there is nothing left to learn from these pairs; stop, or look whether length or form alone gives the rejected side away`,
  ],
]

/** What the newest log gives cause to say, and the log before it did not. */
export function watchRewards(logs: readonly TrainLog[]): string | undefined {
  return WARNINGS.find(([holds]) => holds(logs) && !holds(logs.slice(0, -1)))?.[1]
}
