/**
 * A program for tests: reads both configs of an example, and runs two steps of the small one on the rows that its notebook
 * left, from the adapter of that name where it left one. Arguments: the example's folder, and the notebook's output folder. The last
 * line it prints is JSON.
 */
import { existsSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fineTune, readFineTuneConfig } from 'tunesmith'

const [folder, outputDir] = process.argv.slice(2) as [string, string]
await readFineTuneConfig(join(folder, 'config.yaml'))
const config = await readFineTuneConfig(join(folder, 'config.smoke.yaml'))
const left = join(outputDir, basename(config.model))
const rows = (part: string) => join(outputDir, 'rows', `${part}.jsonl`)
Object.assign(config.training, { maxSteps: 2, saveStrategy: 'no', reportTo: [] })
const { metrics } = await fineTune(
  {
    ...config,
    model: existsSync(left) ? left : config.model,
    dataset: { ...config.dataset, train: rows('train'), test: rows('test') },
    evaluation: { ...config.evaluation, maxRows: 2, maxNewTokens: 16 },
    outputDir: join(outputDir, 'cli'),
  },
  () => {},
)
console.log(JSON.stringify({ steps: metrics.training.steps, rougeL: metrics.test?.tuned.rougeL.score }))
