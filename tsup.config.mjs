// For every package without a configuration of its own: tsup looks for one in the folders above.
import { library } from './packages/tooling/lib/tsup.mjs'

export default library()
