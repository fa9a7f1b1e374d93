/**
 * A program for tests: reads both configs of an example, and runs two steps of the small one on the rows that its notebook
 * left. Arguments: the example's folder, and the notebook's output folder. The last line it prints is JSON.
 */
import { join } from 'node:path'
import { fineTune, readFineTuneConfig } from 'tunesmith'

const [folder, outputDir] = process.argv.slice(2) as [string, string]
await readFineTuneConfig(join(folder, 'config.yaml'))
const config = await readFineTuneConfig(join(folder, 'config.smoke.yaml'))
if (config.method !== 'sft') throw new TypeError('The examples with a notebook train on answers')
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
console.log(JSON.stringify({ steps: metrics.training.steps, rougeL: metrics.test?.tuned.rougeL.score }))
