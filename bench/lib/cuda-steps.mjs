/** The steps of `npm run bench:cuda`, the most valuable first: a run may end at any of them. */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { delimiter, join } from 'node:path'
import { findNvcc } from '../../packages/backend-cuda/scripts/build-cuda.mjs'
import { pythonOnPath } from '../../packages/tooling/lib/python.mjs'
import { staleBuilds } from './cuda-kit.mjs'

const PEERS = ['torch', 'transformers', 'peft']
const require = createRequire(import.meta.url)

/** A program on the path or in the CUDA toolkit; undefined when there is none. */
function findTool(name) {
  const homes = [process.env.CUDA_HOME, process.env.CUDA_PATH, '/usr/local/cuda'].filter(Boolean)
  const folders = [...(process.env.PATH ?? '').split(delimiter), ...homes.map((home) => join(home, 'bin'))]
  return folders.map((folder) => join(folder, name)).find((file) => existsSync(file))
}

/** The architecture to compile for on this machine: its own GPU's. */
export function archOfGpu() {
  const { stdout } = spawnSync('nvidia-smi', ['--query-gpu=compute_cap', '--format=csv,noheader'], { encoding: 'utf8' })
  const capability = stdout?.trim().split('\n')[0]?.replace('.', '')
  return capability && `sm_${capability === '90' ? '90a' : capability}`
}

function vitestFile() {
  try {
    return join(require.resolve('vitest/package.json'), '..', 'vitest.mjs')
  } catch {
    return undefined
  }
}

/** What a vitest run's report says is wrong beyond its exit code: nothing ran. */
function nothingRan(file, since) {
  if (!existsSync(file) || statSync(file).mtimeMs < since) return 'vitest wrote no report'
  const { numPassedTests } = JSON.parse(readFileSync(file, 'utf8'))
  return numPassedTests > 0 ? undefined : 'no test ran: is the shared data there?'
}

/**
 * @param options `root` of the repository, `out` for files, `emulated`, `tests` (default true), `peer` (default true), and in
 *   `measure` what is handed to cuda.mjs
 */
export function cudaSteps({ root, out, emulated, tests = true, peer = true, measure = {} }) {
  const cuda = join(root, 'packages/backend-cuda')
  const release = (name) => join(cuda, 'build/Release', name)
  const toolkit = emulated ? undefined : findNvcc()
  const arch = emulated ? undefined : archOfGpu()
  const suffix = arch ? `_${arch}` : ''
  // What --pack put beside the checkout.
  const carried = (name) => [join(root, '.kit', name)].find((file) => !emulated && existsSync(file))
  const given = process.env.TUNESMITH_CUDA_ADDON ?? carried('tunesmith_cuda.node')
  const built = emulated || (toolkit && !given)
  const buildFlags = [emulated ? '--emulated' : arch && `--arch=${arch}`, '--strict'].filter(Boolean)
  const build = (...flags) => [process.execPath, join(cuda, 'scripts/build-cuda.mjs'), ...flags, ...buildFlags]
  // Without nvcc the program that came along, for this GPU or for all.
  const named = process.env.TUNESMITH_CUDA_TESTS ?? carried('cuda_test')
  const made = emulated ? release('cuda_test_emulated') : release(`cuda_test${suffix}`)
  const program = () => named ?? [made, release('cuda_test')].find((file) => existsSync(file))
  const notTested = !tests && '--no-tests'
  const notCompared = !peer && '--peer=false'
  const noProgram = () => !program() && 'there is no test program, and no nvcc to make one'
  const sanitizer = emulated ? undefined : findTool('compute-sanitizer')
  const addon = () => given ?? (built && !emulated ? release(`tunesmith_cuda${suffix}.node`) : undefined)
  const gpu = () => ({
    ...(addon() && { TUNESMITH_CUDA_ADDON: addon() }),
    ...(python && !process.env.TUNESMITH_BENCH_PYTHON && { TUNESMITH_BENCH_PYTHON: python }),
  })
  const started = Date.now()
  const python = process.env.TUNESMITH_BENCH_PYTHON ?? pythonOnPath()
  const vitest = vitestFile()
  const kept = join(root, '.kit/shared')
  const inFloat = () => ({
    ...gpu(),
    ...(!process.env.TUNESMITH_SHARED && existsSync(kept) && { TUNESMITH_SHARED: kept }),
    TUNESMITH_CUDA_DEVICE_TESTS: '1',
    TUNESMITH_BACKEND: 'cuda',
    TUNESMITH_CUDA_PRECISION: 'f32',
  })

  const check = (tool, flags, more = {}) => ({
    name: tool,
    limit: 150,
    needs: 20,
    skip: () => notTested || noProgram() || (!sanitizer && 'there is no compute-sanitizer'),
    command: () => [sanitizer, '--tool', tool, '--error-exitcode', '9', program(), '--no-host', ...flags],
    ...more,
  })
  const suite = (name, folder, files, limit) => {
    // Where the tests' configuration puts it.
    const report = join(root, folder, '.vitest/report.json')
    return {
      name,
      limit,
      needs: 15,
      after: 'device',
      skip: () => notTested || (!vitest && 'vitest was not carried along'),
      cwd: join(root, folder),
      env: inFloat,
      command: [process.execPath, vitest, 'run', ...files],
      check: () => nothingRan(report, started),
    }
  }
  const rows = (name, limit, options, more = {}) => ({
    name,
    limit,
    needs: 20,
    after: 'device',
    env: gpu,
    command: [process.execPath, join(root, 'bench/lib/cuda-rows.mjs'), JSON.stringify({ ...measure, ...options })],
    ...more,
  })
  const shapes = String(measure.shapes ?? 'tinyllama,llama-3.1-8b').split(',')
  const bootstrap = join(root, 'packages/tooling/lib/bootstrap.mjs')

  return [
    {
      name: 'packages',
      limit: 900,
      // Unpacking does not keep the order of the files' times.
      skip: existsSync(join(root, '.kit')) ? 'carried along' : staleBuilds().length === 0 && 'built already',
      command: [
        process.execPath,
        '-e',
        `import(${JSON.stringify(bootstrap)}).then(async (m) => m.build(await m.bootstrap()))`,
      ],
    },
    {
      name: 'addon',
      limit: 300,
      skip: !built && (given ? `${given} is used` : 'no nvcc; an installed addon is used'),
      command: build(),
    },
    {
      name: 'device',
      limit: 60,
      env: gpu,
      command: [process.execPath, join(root, 'bench/lib/cuda-device.mjs'), join(out, 'device.json')],
    },
    {
      name: 'test-program',
      limit: 180,
      skip: notTested || (named && `${named} is used`) || (!built && !toolkit && 'no nvcc'),
      command: build('--tests'),
    },
    {
      name: 'kernels',
      limit: 120,
      skip: () => notTested || noProgram(),
      command: () => [program(), '--rounds=3', ...(emulated ? [] : ['--large'])],
    },
    check('memcheck', []),
    check('racecheck', ['--no-operations']),
    suite('goldens', 'packages/models', ['src/goldens.test.ts'], 120),
    suite('lora-trajectory', 'packages/sft-trainer', ['src/lora-trajectory.test.ts'], 120),
    ...shapes.map((shape) => rows(shape, shape === 'llama-3.1-8b' ? 240 : 120, { shapes: shape, peer: false })),
    {
      name: 'peer',
      limit: 60,
      skip: notCompared || (!python && 'there is no python3'),
      command: [
        python,
        '-c',
        `import ${PEERS.join(', ')}; print(*(f"{m.__name__} {m.__version__}" for m in (${PEERS.join(', ')})), sep=", "); assert torch.cuda.is_available(), "torch sees no GPU"`,
      ],
    },
    ...shapes.map((shape) =>
      rows(`${shape}-peer`, 300, { shapes: shape, peer: true }, { skip: notCompared, after: 'peer', needs: 60 }),
    ),
    // Not those that ask the emulator for something.
    suite('kernels-js', 'packages/backend-cuda', ['src/kernels-', 'src/attention'], 240),
    check('synccheck', ['--no-operations']),
    check('initcheck', ['--no-operations', '--no-poison']),
  ]
}
