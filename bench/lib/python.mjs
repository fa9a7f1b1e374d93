import { createHash } from 'node:crypto'
import { pythonVenv as scratchVenv } from '../../packages/tooling/lib/python.mjs'
import { StepError } from '../../packages/tooling/lib/step.mjs'

/**
 * The path of a Python that has `packages` (pip requirements): the one that `TUNESMITH_BENCH_PYTHON` names when it has
 * them, else a scratch environment that pip fills on demand. Without either, the bench ends with the reason.
 */
export async function pythonVenv(packages) {
  const name = `bench-${createHash('sha256').update(packages.join('\n')).digest('hex').slice(0, 8)}`
  const { python, reason } = await scratchVenv(name, packages)
  if (!python) throw new StepError(`this bench compares with Python, which is not available here: ${reason}`)
  return python
}
