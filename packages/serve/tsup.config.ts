import { library } from '@tunesmith/tooling/tsup'
import { buildPage } from './scripts/build-page.mjs'

// After the library: it empties dist first.
export default library({ entry: ['src/index.ts', 'src/ai-sdk.ts'], onSuccess: buildPage })
