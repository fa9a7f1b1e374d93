import { tests } from './lib/vitest.mjs'

export default tests({ include: ['lib/**/*.test.mjs'] })
