/** What the tests of the example apps share: they run the script as a reader does, and look at what it left. */
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { exampleCommand, findExample, sourceHash } from '@tunesmith/tooling/examples'
import { fineTune, readFineTuneConfig } from 'tunesmith'

export interface ExampleResult<Figures> {
  figures: Figures
  /** Standard output. */
  printed: string
  outputDir: string
  has(file: string): boolean
  remove(): void
}

/**
 * Runs an example script in a process of its own, in a temporary output folder.
 *
 * @throws {Error} with the end of its output when it fails.
 */
export async function runExample<Figures>(name: string, options: readonly string[]): Promise<ExampleResult<Figures>> {
  const outputDir = mkdtempSync(join(tmpdir(), `${name}-`))
  const [file, args] = exampleCommand(findExample(name), [...options, '--output', outputDir])
  let [printed, log] = ['', '']
  const code = await new Promise<number | null>((resolve) => {
    const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      printed += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      log += text
    })
    child.on('close', resolve)
  })
  if (code !== 0) throw new Error(`${name} ended with ${code}\n${printed.slice(-2000)}\n${log.slice(-4000)}`)
  return {
    figures: JSON.parse(readFileSync(join(outputDir, 'figures.json'), 'utf8')) as Figures,
    printed,
    outputDir,
    has: (path) => existsSync(join(outputDir, path)),
    remove: () => rmSync(outputDir, { recursive: true, force: true }),
  }
}

/** Whether the committed page was rendered from the script as it is now. */
export function pageIsCurrent(name: string): boolean {
  const { script, page } = findExample(name)
  const rendered = /<meta name="source-sha256" content="(\w+)">/.exec(readFileSync(page, 'utf8'))?.[1]
  return rendered === sourceHash(readFileSync(script, 'utf8'))
}

/**
 * Reads both configs of an example, and runs two steps of the small one on the rows that the notebook left.
 *
 * @returns the steps made, and ROUGE-L of the answers.
 */
export async function checkConfigs(
  name: string,
  { outputDir }: Pick<ExampleResult<unknown>, 'outputDir'>,
): Promise<{ steps: number; rougeL: number }> {
  const { folder } = findExample(name)
  await readFineTuneConfig(join(folder, 'config.yaml'))
  const config = await readFineTuneConfig(join(folder, 'config.smoke.yaml'))
  const rows = (part: string) => join(outputDir, 'rows', `${part}.jsonl`)
  const { metrics } = await fineTune(
    {
      ...config,
      dataset: { ...config.dataset, train: rows('train'), test: rows('test') },
      training: { ...config.training, maxSteps: 2, saveStrategy: 'no', reportTo: [] },
      evaluation: { ...config.evaluation, maxRows: 2, maxNewTokens: 16 },
      outputDir: join(outputDir, 'cli'),
    },
    () => {},
  )
  return { steps: metrics.training.steps, rougeL: metrics.test!.tuned.rougeL.score }
}
