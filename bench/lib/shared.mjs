import { sharedPath } from '../../packages/tooling/lib/shared.mjs'
import { StepError } from '../../packages/tooling/lib/step.mjs'

/** The path of a file under the shared folder; without it, which was said, the bench ends. */
export function shared(name) {
  const path = sharedPath(name)
  if (!path) throw new StepError(`this bench needs ${name} of the shared folder`)
  return path
}
