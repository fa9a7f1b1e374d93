import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect, it } from 'vitest'
import { command } from './step.mjs'
import { root } from './workspace.mjs'

/** Run a real vitest on one file with our preset and read what the reporter left. */
async function reasonsOf(text) {
  // Inside the repository, so that vitest resolves from node_modules; .tools is git-ignored.
  mkdirSync(join(root, '.tools'), { recursive: true })
  const folder = mkdtempSync(join(root, '.tools', 'skips-'))
  mkdirSync(join(folder, 'src'))
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  const preset = pathToFileURL(join(root, 'packages/tooling/lib/vitest.mjs')).href
  writeFileSync(join(folder, 'vitest.config.mjs'), `import { tests } from '${preset}'\nexport default tests()\n`)
  writeFileSync(join(folder, 'src', 'a.test.ts'), `import { describe, it } from 'vitest'\n${text}`)
  const run = await command(process.execPath, [join(root, 'node_modules/vitest/vitest.mjs'), 'run'], {
    cwd: folder,
    quiet: true,
  })
  expect(run.output).toContain('skipped')
  const reasons = JSON.parse(readFileSync(join(folder, '.vitest', 'skips.json'), 'utf8'))
  rmSync(folder, { recursive: true })
  return reasons
}

it('keeps the note of context.skip, and else what the file printed about skipping', async () => {
  const noted = await reasonsOf("describe('d', () => { it('x', (context) => context.skip('no goldens')) })")
  expect(noted).toEqual({ 'd x': 'no goldens' })
  const printed = await reasonsOf("console.log('skipped: no compiler')\nit.skip('y', () => {})\nit('z', () => {})")
  expect(printed).toEqual({ y: 'skipped: no compiler' })
})
