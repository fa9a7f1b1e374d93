import { library } from '@tunesmith/tooling/tsup'

export default library({ entry: { index: 'src/index.ts', worker: 'src/batch/worker.ts' } })
