// For every package without a configuration of its own: Vitest looks for one in the folders above.
import { tests } from './packages/tooling/lib/vitest.mjs'

export default tests()
