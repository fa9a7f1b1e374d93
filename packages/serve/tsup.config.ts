import { library } from '@tunesmith/tooling/tsup'
import { buildPage } from './scripts/build-page.mjs'

// After the library: it empties dist first.
export default library({ onSuccess: buildPage })
