import { readdirSync, readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { CommandUnknownOpts } from '@commander-js/extra-typings'
import { sftConfigSchema } from '@tunesmith/sft-trainer'
import { describe, expect, it } from 'vitest'
import type { ZodObject } from 'zod'
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
import { fineTuneConfigSchema } from './run/config'

const commands: CommandUnknownOpts[] = [
  ...[chatCommand(), dataCommand(), doctorCommand(), evalCommand(), exportCommand(), inspectCommand()],
  ...[quantizeCommand(), quickstartCommand(), trainCommand()],
  ...[indexCommand(), askCommand(), evalRetrievalCommand(), serveCommand()],
]
const packages = fileURLToPath(new URL('../../', import.meta.url))

/** Options of a command and its subcommands. */
const optionsOf = (command: CommandUnknownOpts): string[] => [
  ...command.options.map(({ long }) => long!),
  ...command.commands.flatMap(optionsOf),
]
const options = new Map(commands.map((command) => [command.name(), [...optionsOf(command), '--verbose']]))

/** What the product says: the texts in a source file, of which comments are no part. */
function textsOf(source: string): string[] {
  const code = source.replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '')
  return code.match(/'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`|"(?:[^"\\\n]|\\.)*"/g) ?? []
}

/** Texts of a package's sources, with their files. */
function said(name: string): { file: string; text: string }[] {
  const folder = `${packages}${name}/src`
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !/\.test\.ts$|fixtures|testing/.test(file))
    .flatMap((file) => textsOf(readFileSync(`${folder}/${file}`, 'utf8')).map((text) => ({ file, text })))
}

/** What options of the packages that a config reaches are called there: those of a source, of the rows, of the training. */
const configKeys = new Set([
  ...Object.keys(sftConfigSchema.shape),
  ...Object.keys(fineTuneConfigSchema.shape.dataset.shape),
  ...(fineTuneConfigSchema.shape.dataset.shape.train.options[1] as ZodObject).keyof().options,
])

describe('what messages tell people to do can be done', () => {
  it('an option that a message of a command names is one of that command', () => {
    const everywhere = new Set([...options.values()].flat())
    let named = 0
    for (const { file, text } of said('cli'))
      for (const [option] of text.matchAll(/(?<![\w-])--[a-z0-9][a-z0-9-]*/g)) {
        named++
        const own = file.startsWith('commands/') ? options.get(basename(file, '.ts')) : undefined
        // Text that names another command is about its options.
        const known = own && !/tunesmith \w+/.test(text) ? new Set(own) : everywhere
        expect(known, `${file}: ${text}`).toContain(option)
      }
    expect(named).toBeGreaterThan(20)
  })

  it('the commands that look for a base model, or fill a folder, have the options that are named then', () => {
    for (const name of ['chat', 'eval', 'export']) expect(options.get(name)).toContain('--base')
    for (const name of ['eval', 'eval-retrieval', 'export', 'quantize', 'quickstart', 'train'])
      expect(options.get(name)).toContain('--overwrite')
  })

  it('a key of the config that a message names is one of the config', () => {
    const keys: Record<string, string[]> = {
      training: Object.keys(sftConfigSchema.shape),
      dataset: Object.keys(fineTuneConfigSchema.shape.dataset.shape),
    }
    let named = 0
    for (const { file, text } of said('cli'))
      for (const [, section, key] of text
        .replace(/\$\{[^}]*\}/g, '…')
        .matchAll(/\b(training|dataset)\.([a-z]\w*)(?![\w…])/g)) {
        named++
        expect(keys[section!], `${file}: ${text}`).toContain(key)
      }
    expect(named).toBeGreaterThan(0)
  })

  it('an option that a message about rows names can be set in a config', () => {
    let named = 0
    for (const { file, text } of said('datasets'))
      for (const [, option] of text.matchAll(/\b([a-z]\w+): (?:'|\{ [a-z]+: ["'])/g)) {
        named++
        expect(configKeys, `${file}: ${text}`).toContain(option)
      }
    expect(named).toBeGreaterThan(10)
    expect(options.get('data')).toContain('--on-error')
  })
})
