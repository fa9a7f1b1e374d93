import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { Command } from '@commander-js/extra-typings'
import { selectBackend } from '@tunesmith/backend'
import { notFound } from '@tunesmith/core'
import type { FineTuneConfig } from '../run/config'
import { overwriteOption } from './shared-options'
import { runConfig } from './train'

const CONFIG = join('examples', 'quickstart', 'config.yaml')

/** The quickstart's config in this clone of the repository, looked for from here upwards. */
function findConfig(): string {
  for (let folder = process.cwd(); ; folder = dirname(folder)) {
    if (existsSync(join(folder, CONFIG))) return join(folder, CONFIG)
    if (dirname(folder) === folder) break
  }
  throw notFound(`There is no ${CONFIG} here or above`, {
    where: process.cwd(),
    remedy: 'The quickstart needs its example model and data: run it in a clone of the repository',
  })
}

/** Without the native backend the whole quickstart takes about an hour, so it does a part of it, and says so. */
function shortened(config: FineTuneConfig): FineTuneConfig {
  const [maxRows, maxSteps] = [16, 60]
  process.stderr.write(
    `without the native backend this is slow: only ${maxSteps} training steps and ${maxRows} held-out prompts\n`,
  )
  return {
    ...config,
    evaluation: { ...config.evaluation, maxRows },
    training: { ...config.training, maxSteps, evalStrategy: 'no' },
  } as FineTuneConfig
}

export function quickstartCommand(): Command {
  return new Command('quickstart')
    .description('fine-tune the embedded model on the embedded data, and measure what it brought')
    .option('--json', 'print metrics.json alone on the last line')
    .addOption(overwriteOption())
    .action(async ({ overwrite, ...options }) => {
      const { name } = await selectBackend()
      await runConfig(findConfig(), options, overwrite ? { overwrite } : {}, name === 'native' ? undefined : shortened)
    })
}
