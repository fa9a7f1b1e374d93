import { tests } from '@tunesmith/tooling/vitest'

export default tests({ include: ['src/**/*.test.ts', 'scripts/*.test.mjs'] })
