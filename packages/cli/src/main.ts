import { createRequire } from 'node:module'
import { Command, type CommandUnknownOpts } from '@commander-js/extra-typings'
import { askCommand } from './commands/ask'
import { chatCommand } from './commands/chat'
import { dataCommand } from './commands/data'
import { doctorCommand } from './commands/doctor'
import { evalCommand } from './commands/eval'
import { evalRetrievalCommand } from './commands/eval-retrieval'
import { exportCommand } from './commands/export'
import { indexCommand } from './commands/index-documents'
import { inspectCommand } from './commands/inspect'
import { quantizeCommand } from './commands/quantize'
import { quickstartCommand } from './commands/quickstart'
import { serveCommand } from './commands/serve'
import { trainCommand } from './commands/train'
import { reportError } from './report-error'

const { version } = createRequire(import.meta.url)('../package.json') as { version: string }

const program = new Command('tunesmith')
  .description('Fine-tune open language models in TypeScript.')
  .version(version)
  .option('--verbose', 'print stack traces with errors')
  .showSuggestionAfterError()

const commands: CommandUnknownOpts[] = [
  quickstartCommand(),
  dataCommand(),
  inspectCommand(),
  trainCommand(),
  evalCommand(),
  chatCommand(),
  serveCommand(),
  quantizeCommand(),
  exportCommand(),
  indexCommand(),
  askCommand(),
  evalRetrievalCommand(),
  doctorCommand(),
]
for (const command of commands) program.addCommand(command.option('--verbose', 'print stack traces with errors'))

try {
  await program.parseAsync()
} catch (error) {
  reportError(error, process.argv.includes('--verbose'))
  process.exitCode = 1
}
