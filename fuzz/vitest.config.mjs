import { tests } from '../packages/tooling/lib/vitest.mjs'

export default tests({ include: ['*.test.mjs'], testTimeout: 300_000 })
