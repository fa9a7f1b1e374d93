import { tests } from '../packages/tooling/lib/vitest.mjs'

export default tests({ include: ['lib/*.test.mjs'] })
