import { Command } from 'commander'
import { type FineTuneConfig, readFineTuneConfig } from '../run/config'
import { fineTune } from '../run/fine-tune'
import { closing, scoreTable, sideBySide } from '../run/print'

export interface OutputOptions {
  /** metrics.json alone on the last line of standard output; everything else goes to standard error. */
  json?: boolean
}

/**
 * Runs a config and prints its results.
 *
 * @param adapt may change the config that was read.
 */
export async function runConfig(
  path: string,
  { json }: OutputOptions,
  adapt: (config: FineTuneConfig) => FineTuneConfig = (config) => config,
): Promise<void> {
  const config = adapt(await readFineTuneConfig(path))
  const print = (text: string) => (json ? process.stderr : process.stdout).write(`${text}\n`)
  const result = await fineTune(config, (line) => process.stderr.write(`${line}\n`))
  if (result.answers) {
    print(`\n${sideBySide(result, config.evaluation.show)}`)
    print(`\n${result.heldOut.length} held-out prompts\n${scoreTable(result)}`)
  }
  print(`\n${closing(result, config.outputDir)}`)
  if (json) process.stdout.write(`${JSON.stringify(result.metrics)}\n`)
}

export function trainCommand(): Command {
  return new Command('train')
    .description('fine-tune as a YAML config says, and measure what it brought')
    .argument('<config>', 'path of the config file')
    .option('--json', 'print metrics.json alone on the last line')
    .action((config: string, options: OutputOptions) => runConfig(config, options))
}
