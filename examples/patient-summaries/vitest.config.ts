import { tests } from '@tunesmith/tooling/vitest'

export default tests()
