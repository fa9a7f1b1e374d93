import { tests } from '@tunesmith/tooling/vitest'

export default tests({ include: ['src/**/*.test.ts', 'page/**/*.test.ts'] })
