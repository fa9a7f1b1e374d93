import { rmSync } from 'node:fs'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { selectBackend } from '@tunesmith/backend'
import { invalidOptions, isTunesmithError, nearestName } from '@tunesmith/core'

/** `smoke`: our sample data; `data`: a real data set, both with the embedded model; `full`: the real model and data. */
export type Mode = 'smoke' | 'data' | 'full'

const OPTIONS = {
  smoke: { type: 'boolean' },
  data: { type: 'string' },
  quick: { type: 'boolean' },
  yes: { type: 'boolean' },
  serve: { type: 'boolean' },
  output: { type: 'string' },
} as const

const HELP = `--smoke        our sample data and the embedded model, offline
--data DIR     the real data set from a folder, and the embedded model
--yes          the full run, after its plan was read (without an option, only the plan is printed)
--serve        ends on the chat page, where the example has one, until Ctrl-C
--output DIR   where everything is written; default runs/NAME-MODE
--quick        a shorter training, as tests run it`

export interface ExampleRun {
  name: string
  mode: Mode
  /** The example's own folder. */
  folder: string
  /** Where the run writes. Emptied at the start of smoke and data runs. */
  outputDir: string
  /** Folder given with `--data`. */
  dataDir: string
  /** Whether a full run was confirmed with `--yes`. */
  confirmed: boolean
  /** Tests ask for less training. */
  quick: boolean
  /** Whether it ends on the chat page. */
  serve: boolean
  /** When it began, by `performance.now()`. */
  started: number
  /** The value of this run's mode. */
  pick<Value>(values: Record<Mode, Value>): Value
  /** The base model of this run: `full`, a Hub id, or the embedded one in the other modes. */
  baseModel(full: string): string
}

/** The repository's embedded base model. */
export const EMBEDDED_MODEL = fileURLToPath(new URL('../../pretrain-tiny-medic/model', import.meta.url))

/** Reads the options of an example script. @throws {TunesmithError} `invalid_options` */
export function readOptions(script: string, args: readonly string[]): ExampleRun {
  const folder = dirname(dirname(fileURLToPath(script)))
  const name = basename(folder)
  const unknown = args.find((arg) => arg.startsWith('-') && !Object.hasOwn(OPTIONS, arg.replace(/^--|=.*$/g, '')))
  if (unknown) {
    const near = nearestName(unknown.slice(2), Object.keys(OPTIONS))
    throw invalidOptions(`Unknown option "${unknown}"${near ? `; did you mean "--${near}"?` : ''}`, {
      where: name,
      remedy: `The options are\n${HELP}`,
    })
  }
  const { values } = parseArgs({ args: [...args], options: OPTIONS })
  if (values.smoke && values.data !== undefined)
    throw invalidOptions('--smoke and --data are two modes', { where: name })
  const mode: Mode = values.smoke ? 'smoke' : values.data === undefined ? 'full' : 'data'
  return {
    name,
    mode,
    folder,
    // Relative, so that what is printed and rendered names no one's folders.
    outputDir: relative(process.cwd(), resolve(values.output ?? join(folder, '..', '..', 'runs', `${name}-${mode}`))),
    dataDir: values.data ?? '',
    confirmed: values.yes ?? false,
    quick: values.quick ?? false,
    serve: values.serve ?? false,
    started: performance.now(),
    pick: (byMode) => byMode[mode],
    baseModel: (full) => (mode === 'full' ? full : EMBEDDED_MODEL),
  }
}

/**
 * Begins an example: reads its options, empties the output folder of a smoke or data run, chooses the backend and prints
 * both. From then on an error is printed as one message.
 *
 * @param script the script's `import.meta.url`, in `examples/NAME/src/`.
 */
export async function startExample(script: string): Promise<ExampleRun> {
  const stop = (error: unknown) => {
    process.stderr.write(`${isTunesmithError(error) ? error.message : ((error as Error)?.stack ?? error)}\n`)
    process.exit(1)
  }
  process.on('uncaughtException', stop)
  process.on('unhandledRejection', stop)
  const run = readOptions(script, process.argv.slice(2))
  if (run.mode !== 'full') rmSync(run.outputDir, { recursive: true, force: true })
  const { description } = await selectBackend()
  console.log(`mode ${run.mode}, backend ${description}`)
  return run
}
