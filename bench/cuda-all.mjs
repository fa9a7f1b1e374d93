// `npm run bench:cuda`: builds the CUDA addon (or takes the one in TUNESMITH_CUDA_ADDON), tests it on the GPU, then measures
// it against PyTorch in the same call and writes docs/benchmarks/DATE-cuda.md. Options are handed to bench/cuda.mjs.
//
// Ends with 0 when all is well, 1 when a test or the bench fails, 3 when there is no GPU or no addon to use.
import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildCuda } from '../packages/backend-native/scripts/build-cuda.mjs'
import { machine } from './lib/machine.mjs'
import { table } from './lib/table.mjs'

const NO_GPU = 3
const root = fileURLToPath(new URL('..', import.meta.url))
const emulated = process.env.TUNESMITH_CUDA_EMULATE === '1'

function stop(message, code) {
  console.error(message)
  process.exit(code)
}

/** Runs a command with its output shown; returns whether it succeeded. */
function runs(folder, args, env) {
  console.log(`\n> ${args.join(' ')}  (${folder})`)
  const options = { cwd: join(root, folder), stdio: 'inherit', env: { ...process.env, ...env } }
  return spawnSync(args[0], args.slice(1), options).status === 0
}

if (emulated || !process.env.TUNESMITH_CUDA_ADDON) {
  // On the machine that measures, its own architecture is enough.
  const { stdout } = spawnSync('nvidia-smi', ['--query-gpu=compute_cap', '--format=csv,noheader'], { encoding: 'utf8' })
  const capability = stdout?.trim().split('\n')[0]?.replace('.', '')
  const arch = capability && !emulated ? `sm_${capability === '90' ? '90a' : capability}` : undefined
  const { file, problem } = await buildCuda({ arch, emulated })
  if (!file) stop(`No CUDA addon: ${problem}`, NO_GPU)
  if (!emulated) process.env.TUNESMITH_CUDA_ADDON = file
}
const { diagnoseCuda } = await import('@tunesmith/backend-native')
const { problem, remedy, device } = diagnoseCuda()
if (!device) stop(`No GPU to measure on: ${problem}. ${remedy ?? ''}`, NO_GPU)
console.log(`${device.name}, compute capability ${device.capability}, ${device.matrixProducts}`)

if (!process.argv.includes('--no-tests')) {
  const device = { TUNESMITH_CUDA_DEVICE_TESTS: '1', TUNESMITH_BACKEND: 'cuda', TUNESMITH_CUDA_PRECISION: 'f32' }
  const vitest = (...files) => ['npx', 'vitest', 'run', ...files]
  const passed = [
    runs('packages/backend-native', vitest('src/cuda'), device),
    runs('packages/models', vitest('src/goldens.test.ts'), device),
    runs('packages/sft-trainer', vitest('src/lora-trajectory.test.ts'), device),
  ]
  if (passed.includes(false)) stop('Tests failed; nothing was measured.', 1)
}

const given = process.argv.slice(2).flatMap((argument) => {
  const [, key, value] = /^--([\w-]+)=(.*)$/.exec(argument) ?? []
  return key ? [[key, Number.isNaN(Number(value)) ? value : Number(value)]] : []
})
const { run } = await import('./cuda.mjs')
const { rows } = await run(Object.fromEntries(given))
console.log(`\n${table(rows)}`)
if (emulated) stop('Emulated: nothing of this is a measurement, nothing is written.', 0)

const date = new Date().toISOString().slice(0, 10)
const folder = join(root, 'docs', 'benchmarks')
mkdirSync(folder, { recursive: true })
const { cpu, node } = machine()
const gigabytes = (device.totalBytes / 2 ** 30).toFixed(0)
writeFileSync(
  join(folder, `${date}-cuda.md`),
  `# CUDA, ${date}

${device.name} (compute capability ${device.capability}, ${gigabytes} GB), ${device.matrixProducts.replace(/ \(.*/, '')}; ${cpu}, Node ${node}.
Made by \`npm run bench:cuda\`: ours and PyTorch + transformers + PEFT in turns in one call, medians; a ratio above 1 means
that ours is better. The kernels' tests and the LoRA goldens passed on this GPU in the same call.

\`\`\`
${table(rows)}
\`\`\`
`,
)
console.log(`wrote docs/benchmarks/${date}-cuda.md`)
