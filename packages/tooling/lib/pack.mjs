import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { cleanEnvironment } from './bootstrap.mjs'
import { command, StepError } from './step.mjs'

/** Pack a package into `destination` (an empty folder) as it would be published; returns the tarball's path. */
export async function pack(folder, destination, env = cleanEnvironment()) {
  const pnpm = process.platform === 'win32' ? 'pnpm.cmd' : 'pnpm'
  const { code, output } = await command(pnpm, ['pack', '--pack-destination', destination], {
    cwd: folder,
    env,
    quiet: true,
  })
  const tarball = readdirSync(destination).find((name) => name.endsWith('.tgz'))
  if (code !== 0 || !tarball) throw new StepError(`pnpm pack failed in ${folder}`, output)
  return join(destination, tarball)
}
