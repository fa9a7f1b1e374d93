import { tests } from '@tunesmith/tooling/vitest'

export default tests({ globalSetup: '../backend/src/testing/tensorflow-setup.ts' })
