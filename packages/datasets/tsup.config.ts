import { library } from '@tunesmith/tooling/tsup'

export default library({
  entry: { index: 'src/index.ts', 'parquet-process': 'src/files/parquet-process.mjs' },
  dts: { entry: { index: 'src/index.ts' } },
})
