#!/usr/bin/env node
import { existsSync } from 'node:fs'

const main = new URL('../dist/main.js', import.meta.url)
if (!existsSync(main)) {
  console.error(
    'tunesmith is not built yet. In a clone of the repository, run `npm run quickstart` or `pnpm run build` first.',
  )
  process.exit(1)
}
await import(main.href)
