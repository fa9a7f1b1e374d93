#!/usr/bin/env node
/** Fails when an import points up or sideways in the levels (levels.json), forms a circle, or is not declared. */
import { checkLevels } from '../lib/levels.mjs'
import { root } from '../lib/workspace.mjs'

const problems = checkLevels(root)
for (const problem of problems) console.error(problem)
if (problems.length > 0) {
  console.error(
    `\n${problems.length} import(s) against the levels in packages/tooling/levels.json (why: docs/contributing/levels.md).`,
  )
  process.exitCode = 1
}
