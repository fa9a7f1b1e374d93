import type { AdaLoraConfig } from './config'

export interface Budget {
  /** How many singular values of all modules together are kept. */
  ranks: number
  /** Whether ranks are allocated anew at this step. */
  allocate: boolean
}

/**
 * How many ranks are left after a step: all of them at first, then falling with the cube of what is left of the time,
 * and in the last steps as many as `targetR` says (Zhang et al. 2023, section 3.3).
 *
 * @param step counted from 1.
 * @param modules how many modules are adapted.
 */
export function budgetAt(
  step: number,
  modules: number,
  { tinit, tfinal, totalStep, deltaT, initR, targetR }: AdaLoraConfig,
): Budget {
  const [first, last] = [initR * modules, targetR * modules]
  if (step <= tinit) return { ranks: first, allocate: false }
  if (step > totalStep - tfinal) return { ranks: last, allocate: true }
  const left = 1 - (step - tinit) / (totalStep - tfinal - tinit)
  return { ranks: Math.trunc((first - last) * left ** 3 + last), allocate: step % deltaT === 0 }
}
