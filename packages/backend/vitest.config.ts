import { tests } from '@tunesmith/tooling/vitest'

export default tests({ globalSetup: './src/testing/tensorflow-setup.ts' })
