// Runs TensorFlow.js' own published operation tests against the native backend, and against its CPU backend for
// comparison: `node scripts/tfjs-conformance.mjs [--backend=cuda] [text that spec names must contain]`.
//
// With --backend=cuda they run on the emulated CUDA device in float32, and every tensor of numbers goes to the device; what
// was read back for an operation without a kernel is listed.
//
// The package ships its tests as ES modules for Jasmine that share the library's internals, so they are bundled with
// our backend and the library's sources into one file. A spec counts against us when it fails here and passes there.

import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { build } from 'esbuild'
import { buildCuda } from './build-cuda.mjs'

const require = createRequire(import.meta.url)
const root = dirname(dirname(fileURLToPath(import.meta.url)))
const folderOf = (name) => dirname(require.resolve(`${name}/package.json`))
const core = folderOf('@tensorflow/tfjs-core')
const cpu = folderOf('@tensorflow/tfjs-backend-cpu')
const FOLDERS = ['dist/ops', 'dist/optimizers', 'dist/public']
const FILES = [
  'gradients_test',
  'tensor_test',
  'variable_test',
  'buffer_test',
  'tensor_util_test',
  'kernel_registry_test',
]
// These need a browser, or test the machinery of the tests themselves.
const LEFT_OUT = /from_pixels|to_pixels|worker|browser/

const tests = FOLDERS.flatMap((folder) =>
  readdirSync(join(core, folder), { recursive: true })
    .filter((file) => file.endsWith('_test.js') && !LEFT_OUT.test(file))
    .map((file) => join(core, folder, file)),
).concat(FILES.map((name) => join(core, 'dist', `${name}.js`)))

const onCuda = process.argv.includes('--backend=cuda')
const under = onCuda ? 'cuda' : 'native'
const filter = process.argv.slice(2).find((argument) => !argument.startsWith('--')) ?? ''
if (onCuda) {
  Object.assign(process.env, {
    TUNESMITH_CUDA_EMULATE: '1',
    TUNESMITH_CUDA_PRECISION: 'f32',
    TUNESMITH_CUDA_POISON: '1',
    TUNESMITH_CUDA_HOST_BYTES: '0',
  })
  const { problem, failed } = await buildCuda({ emulated: true })
  if (problem) {
    console.log(problem)
    process.exit(failed ? 1 : 0)
  }
}

const start = onCuda
  ? `import { registerCudaBackend, cudaReadBacks } from ${JSON.stringify(join(root, 'src/index.ts'))}
console.log('cuda:', registerCudaBackend().name)
globalThis.readBacks = cudaReadBacks`
  : `import { registerNativeBackend } from ${JSON.stringify(join(root, 'src/index.ts'))}
const info = registerNativeBackend()
console.log('native:', info.isa + ',', info.threads, 'threads')`

const entry = `
import { setTestEnvs } from ${JSON.stringify(join(core, 'dist/jasmine_util.js'))}
import ${JSON.stringify(join(core, 'dist/register_all_gradients.js'))}
import ${JSON.stringify(join(core, 'dist/public/chained_ops/register_all_chained_ops.js'))}
${start}
setTestEnvs([{ name: 'cpu', backendName: 'cpu', isDataSync: true }, { name: '${under}', backendName: '${under}', isDataSync: true }])
${tests.map((file) => `require(${JSON.stringify(file)})`).join('\n')}
`

const work = join(root, 'build', 'conformance')
mkdirSync(work, { recursive: true })
const bundle = join(work, `tests-${process.pid}.cjs`)
await build({
  stdin: { contents: entry, resolveDir: root, loader: 'js' },
  outfile: bundle,
  bundle: true,
  platform: 'node',
  format: 'cjs',
  target: 'node20',
  conditions: ['@tunesmith/source'],
  external: ['jasmine-core', 'jasmine-core/*', 'node-fetch'],
  define: { 'import.meta.url': JSON.stringify(pathToFileURL(join(root, 'src/addon.ts')).href) },
  logLevel: 'error',
  plugins: [
    {
      name: 'one-tfjs-core',
      setup(builder) {
        builder.onResolve({ filter: /^@tensorflow\/tfjs-(core|backend-cpu)(\/.*)?$/ }, ({ path }) => {
          const folder = path.includes('tfjs-core') ? core : cpu
          const rest = path.split('/').slice(2).join('/') || 'dist/index.js'
          return { path: join(folder, rest.endsWith('.js') ? rest : `${rest}.js`) }
        })
      },
    },
  ],
})

require('jasmine-core').boot(true)
const env = globalThis.jasmine.getEnv()
env.configure({ random: false, specFilter: (spec) => spec.getFullName().includes(filter) })
const counts = { cpu: { passed: 0, failed: 0 }, [under]: { passed: 0, failed: 0 } }
const failed = { cpu: new Set(), ours: new Map() }
env.addReporter({
  specDone({ fullName, status, failedExpectations }) {
    const name = fullName.includes(` ${under} {`) ? under : fullName.includes(' cpu {') ? 'cpu' : undefined
    if (!name || (status !== 'passed' && status !== 'failed')) return
    counts[name][status]++
    if (status !== 'failed') return
    const key = fullName.replace(` ${name} {`, ' {')
    if (name === 'cpu') failed.cpu.add(key)
    else failed.ours.set(key, failedExpectations.map(({ message }) => message).join(' | '))
  },
})
try {
  require(bundle)
  await env.execute()
} finally {
  rmSync(bundle, { force: true })
}
const ours = [...failed.ours].filter(([name]) => !failed.cpu.has(name))
for (const [name, message] of ours) console.log(`FAILED ${name}\n       ${message.slice(0, 300)}`)
const line = (name) => `${name}: ${counts[name].passed} passed, ${counts[name].failed} failed`
if (onCuda) console.log(`read back for: ${globalThis.readBacks().sort().join(', ') || 'nothing'}`)
console.log(`${line(under)}; ${line('cpu')}; fail on ${under} only: ${ours.length}`)
process.exitCode = ours.length > 0 || counts[under].passed === 0 ? 1 : 0
