/** What the tests of the example apps share: they run the script as a reader does, and look at what it left. */
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { exampleCommand, findExample, sourceHash } from '@tunesmith/tooling/examples'
import { expect, it } from 'vitest'

export interface ExampleResult<Figures> {
  figures: Figures
  /** Standard output. */
  printed: string
  outputDir: string
  has(file: string): boolean
  remove(): void
}

interface Ended {
  code: number | null
  printed: string
  log: string
}

/** Runs a program to its end. */
function runProcess(file: string, args: readonly string[]): Promise<Ended> {
  return new Promise((resolve) => {
    const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    const ended: Ended = { code: null, printed: '', log: '' }
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      ended.printed += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      ended.log += text
    })
    child.on('close', (code) => resolve({ ...ended, code }))
  })
}

function mustEndWell(name: string, { code, printed, log }: Ended): void {
  if (code !== 0) throw new Error(`${name} ended with ${code}\n${printed.slice(-2000)}\n${log.slice(-4000)}`)
}

/**
 * Runs an example script in a process of its own, in a temporary output folder.
 *
 * @throws {Error} with the end of its output when it fails.
 */
export async function runExample<Figures>(name: string, options: readonly string[]): Promise<ExampleResult<Figures>> {
  const outputDir = mkdtempSync(join(tmpdir(), `${name}-`))
  const ended = await runProcess(...exampleCommand(findExample(name), [...options, '--output', outputDir]))
  mustEndWell(name, ended)
  return {
    figures: JSON.parse(readFileSync(join(outputDir, 'figures.json'), 'utf8')) as Figures,
    printed: ended.printed,
    outputDir,
    has: (path) => existsSync(join(outputDir, path)),
    remove: () => rmSync(outputDir, { recursive: true, force: true }),
  }
}

/** What the full run prints without `--yes`: its plan, and nothing more. */
export async function printPlan(name: string): Promise<string> {
  const ended = await runProcess(...exampleCommand(findExample(name), []))
  mustEndWell(name, ended)
  return ended.printed
}

/** Whether the committed page was rendered from the script as it is now. */
function pageIsCurrent(name: string): boolean {
  const { script, page } = findExample(name)
  const rendered = /<meta name="source-sha256" content="(\w+)">/.exec(readFileSync(page, 'utf8'))?.[1]
  return rendered === sourceHash(readFileSync(script, 'utf8'))
}

/**
 * Reads both configs of an example, and runs two steps of the small one on the rows that the notebook left.
 *
 * @returns the steps made, and ROUGE-L of the answers.
 */
async function checkConfigs(
  name: string,
  { outputDir }: Pick<ExampleResult<unknown>, 'outputDir'>,
): Promise<{ steps: number; rougeL: number }> {
  const script = fileURLToPath(new URL('./check-configs.ts', import.meta.url))
  const ended = await runProcess(...exampleCommand({ script }, [findExample(name).folder, outputDir]))
  mustEndWell(`the config of ${name}`, ended)
  return JSON.parse(ended.printed.trim().split('\n').at(-1)!) as { steps: number; rougeL: number }
}

/** What holds for every example once its smoke run is there: its configs work on the rows it left, its page is current. */
export function testConfigsAndPage(name: string, result: () => ExampleResult<unknown>): void {
  it('has configs that `tunesmith train` reads, and runs on its rows', async () => {
    const { steps, rougeL } = await checkConfigs(name, result())
    expect(steps).toBe(2)
    expect(rougeL).toBeGreaterThanOrEqual(0)
  }, 300_000)

  it('stands in the committed page as it is', () => {
    expect(pageIsCurrent(name), `render it again: pnpm notebook examples/${name}`).toBe(true)
  })
}
