import { library } from '@tunesmith/tooling/tsup'

export default library({ entry: ['src/index.ts', 'src/testing/index.ts'] })
