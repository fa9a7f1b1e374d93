import { relative, resolve } from 'node:path'
import { Command, type CommandUnknownOpts } from '@commander-js/extra-typings'
import { plainJson, shown } from '@tunesmith/core'
import { INTERRUPT_EXIT_CODES } from '@tunesmith/sft-trainer'
import { type ConfigChanges, type FineTuneConfig, readFineTuneConfig } from '../run/config'
import { fineTune } from '../run/fine-tune'
import { closing, preferenceLines, scoreTable, sideBySide } from '../run/print'
import { number } from './numbers'
import { overwriteOption } from './shared-options'

export interface OutputOptions {
  /** metrics.json alone on the last line of standard output; everything else goes to standard error. */
  json?: boolean | undefined
}

/**
 * Runs a config and prints its results.
 *
 * @param changes keys that go before those of the file.
 * @param adapt may change the config that was read.
 */
export async function runConfig(
  path: string,
  { json }: OutputOptions,
  changes: ConfigChanges = {},
  adapt: (config: FineTuneConfig) => FineTuneConfig = (config) => config,
): Promise<void> {
  const config = adapt(await readFineTuneConfig(path, changes))
  const print = (text: string) => (json ? process.stderr : process.stdout).write(`${shown(text)}\n`)
  const result = await fineTune(config, (line) => process.stderr.write(`${shown(line)}\n`))
  if (result.interrupted) {
    const { by, checkpoint } = result.interrupted
    const state = checkpoint ? `its state is in ${relative(process.cwd(), checkpoint)}` : 'before its first step'
    process.stderr.write(`\n${by} ended training; ${state}\ngo on with:  npx tunesmith train ${path} --resume\n`)
    process.exitCode = INTERRUPT_EXIT_CODES[by]
    return
  }
  if (result.answers) {
    print(`\n${sideBySide(result, config.evaluation.show)}`)
    print(`\n${result.heldOut.length} held-out prompts\n${scoreTable(result)}`)
    if (result.metrics.preferences) print(`\n${preferenceLines(result)}`)
  }
  print(`\n${closing(result, config.outputDir)}`)
  if (json) process.stdout.write(`${plainJson(result.metrics)}\n`)
}

const EXIT_CODES = `
Exit codes: 0 done, 1 an error (one line says which), 130 after SIGINT and 143 after SIGTERM with the state saved:
--resume goes on from there, and ends as if nothing had happened.`

export function trainCommand(): CommandUnknownOpts {
  return new Command('train')
    .description('fine-tune as a YAML config says, and measure what it brought')
    .argument('<config>', 'path of the config file')
    .option('--json', 'print metrics.json alone on the last line')
    .option('--resume [checkpoint]', 'go on from the newest whole checkpoint of the output folder, or from that one')
    .addOption(overwriteOption())
    .option('--test-size <n>', 'hold out so many of the training rows, or such a share, for the comparison', number)
    .option('--validation-size <n>', 'the same for the loss that is measured while training', number)
    .addHelpText('after', EXIT_CODES)
    .action((config, { json, resume, overwrite, testSize, validationSize }) =>
      runConfig(
        config,
        { json },
        {
          ...(resume !== undefined && {
            training: { resumeFromCheckpoint: typeof resume === 'string' ? resolve(resume) : resume },
          }),
          ...(overwrite && { overwrite }),
          dataset: {
            ...(testSize !== undefined && { testSize }),
            ...(validationSize !== undefined && { validationSize }),
          },
        },
      ),
    )
}
