import { library } from '@tunesmith/tooling/tsup'

export default library({
  entry: { index: 'src/index.ts', 'parquet-worker': 'src/files/parquet-worker.mjs' },
  dts: { entry: { index: 'src/index.ts' } },
})
