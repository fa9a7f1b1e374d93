// `npm run bench:cuda`: everything that only a GPU can show, in one call: compiles the addon (or takes a carried one), tests every
// kernel on the GPU, with compute-sanitizer too, compares with the goldens, and measures against PyTorch. What it finds is
// written down as it comes, into --out and, when all steps were asked for, docs/benchmarks/DATE-cuda.md; a step that fails or runs over loses nothing of
// the others.
//
//   --minutes=9     time for everything together; steps that no longer fit are left out, the most valuable come first
//   --out=FOLDER    results.jsonl, cuda.md and the output of each step; default build/bench-cuda
//   --only=A,B      these steps alone (with what they need: packages, addon, device); --skip=A,B all but these
//   --no-tests      measures only; --peer=false without PyTorch; --list names the steps
//   --pack=FILE.tar.xz   measures nothing: packs what a machine that can download nothing needs, to be unpacked over a checkout
//                   there and started with `.kit/node bench/cuda-all.mjs`; --arch=sm_90a is its GPU
//   all other --name=value go to bench/cuda.mjs (shapes, tokens, decode, rounds)
//
// TUNESMITH_CUDA_ADDON and TUNESMITH_CUDA_TESTS name a carried addon and test program (`build-cuda.mjs` and `--tests` make
// them), TUNESMITH_BENCH_PYTHON a Python with torch, transformers and peft where python3 is not it.
// Ends with 0 when all is well, 1 when a step failed or ran over, 3 when there is no GPU or no addon to use.
import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { report } from './lib/cuda-report.mjs'
import { cudaSteps } from './lib/cuda-steps.mjs'
import { machine } from './lib/machine.mjs'
import { runSteps } from './lib/steps.mjs'

const NO_GPU = 3
const NEEDED = ['packages', 'addon', 'device', 'peer']
const root = fileURLToPath(new URL('..', import.meta.url))
const emulated = process.env.TUNESMITH_CUDA_EMULATE === '1'

function parse(given) {
  const options = { measure: {} }
  const own = {
    minutes: Number,
    out: String,
    pack: String,
    arch: String,
    only: (text) => text.split(','),
    skip: (text) => text.split(','),
  }
  for (const argument of given) {
    const [, key, value] = /^--([\w-]+)(?:=(.*))?$/.exec(argument) ?? []
    if (!key) throw new Error(`not an option: ${argument}`)
    if (own[key] && value !== undefined) options[key] = own[key](value)
    else if (key === 'no-tests') options.tests = false
    else if (key === 'list') options.list = true
    else if (key === 'peer') options.peer = value !== 'false'
    else if (value === undefined) throw new Error(`not an option: ${argument}`)
    else options.measure[key] = value === '' || Number.isNaN(Number(value)) ? value : Number(value)
  }
  if (options.minutes !== undefined && !(options.minutes > 0)) throw new Error('--minutes must be a number above 0')
  return options
}

const options = parse(process.argv.slice(2))
if (options.pack) {
  const { packKit } = await import('./lib/cuda-kit.mjs')
  const size = await packKit({ file: options.pack, arch: options.arch })
  console.log(`${options.pack}: ${(size / 2 ** 20).toFixed(1)} MiB`)
  process.exit(0)
}
const out = resolve(options.out ?? join(root, 'build/bench-cuda'))
mkdirSync(out, { recursive: true })
let steps = cudaSteps({ root, out, emulated, ...options })
const names = steps.map(({ name }) => name)
const unknown = [...(options.only ?? []), ...(options.skip ?? [])].find((name) => !names.includes(name))
if (unknown) throw new Error(`there is no step ${unknown}, only ${names.join(', ')}`)
if (options.only) steps = steps.filter(({ name }) => options.only.includes(name) || NEEDED.includes(name))
if (options.skip) steps = steps.filter(({ name }) => !options.skip.includes(name))
if (options.list) {
  console.log(steps.map(({ name }) => name).join('\n'))
  process.exit(0)
}

const date = new Date().toISOString().slice(0, 10)
const partial = emulated || options.only || options.skip || options.tests === false
const pages = [join(out, 'cuda.md'), ...(partial ? [] : [join(root, 'docs/benchmarks', `${date}-cuda.md`)])]
const results = join(out, 'results.jsonl')
const rows = []
const ends = []
let device
function writePages() {
  for (const page of pages) {
    mkdirSync(dirname(page), { recursive: true })
    writeFileSync(page, report({ date, device, rows, steps: ends, host: machine(), emulated }))
  }
}
function record(entry) {
  appendFileSync(results, `${JSON.stringify({ at: new Date().toISOString(), ...entry })}\n`)
  if (entry.row) rows.push(entry.row)
  else ends.push(entry)
  const found = join(out, 'device.json')
  if (entry.step === 'device' && entry.status === 'passed') device = JSON.parse(readFileSync(found, 'utf8'))
  // Without a device there is nothing to put beside earlier pages.
  if (device || emulated) writePages()
}
writeFileSync(results, '')

await runSteps(steps, { minutes: options.minutes, out, record })
const opened = ends.find(({ step }) => step === 'device')
if (device && existsSync(pages[0])) console.log(`\n${readFileSync(pages[0], 'utf8')}\nwrote ${pages.join(' and ')}`)
if (opened && opened.status !== 'passed') process.exitCode = opened.code === NO_GPU ? NO_GPU : 1
else process.exitCode = ends.some(({ status }) => status === 'failed' || status === 'timeout') ? 1 : 0
