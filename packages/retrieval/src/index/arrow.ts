import { createRequire } from 'node:module'

/**
 * Apache Arrow as LanceDB has it. Its two forms, for `import` and for `require`, are two libraries to `instanceof`, and LanceDB, which requires
 * it, copies tables of the other one column by column, or refuses them.
 */
export const arrow = createRequire(import.meta.url)('apache-arrow') as typeof import('apache-arrow')
