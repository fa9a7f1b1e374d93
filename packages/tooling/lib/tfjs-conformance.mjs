/**
 * TensorFlow.js' own published operation tests on a backend of ours, and on its CPU backend for comparison.
 *
 * The package ships its tests as ES modules for Jasmine that share the library's internals, so they are bundled with
 * our backend and the library's sources into one file. A spec counts against us when it fails here and passes there.
 */
import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { build } from 'esbuild'

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

async function bundleTests({ root, name, start }, bundle) {
  const packages = createRequire(join(root, 'package.json'))
  const folderOf = (dependency) => dirname(packages.resolve(`${dependency}/package.json`))
  const core = folderOf('@tensorflow/tfjs-core')
  const cpu = folderOf('@tensorflow/tfjs-backend-cpu')
  const tests = FOLDERS.flatMap((folder) =>
    readdirSync(join(core, folder), { recursive: true })
      .filter((file) => file.endsWith('_test.js') && !LEFT_OUT.test(file))
      .map((file) => join(core, folder, file)),
  ).concat(FILES.map((file) => join(core, 'dist', `${file}.js`)))
  const entry = `
import { setTestEnvs } from ${JSON.stringify(join(core, 'dist/jasmine_util.js'))}
import ${JSON.stringify(join(core, 'dist/register_all_gradients.js'))}
import ${JSON.stringify(join(core, 'dist/public/chained_ops/register_all_chained_ops.js'))}
import * as ours from ${JSON.stringify(join(root, 'src/index.ts'))}
${start}
setTestEnvs(['cpu', '${name}'].map((name) => ({ name, backendName: name, isDataSync: true })))
${tests.map((file) => `require(${JSON.stringify(file)})`).join('\n')}
`
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
}

/**
 * Runs the tests whose names contain the command line's argument, prints what fails on our backend only, and sets the
 * exit code.
 *
 * @param options `root` of the package, `name` of its backend, and `start`, JavaScript that registers it; the package's
 *   exports are called `ours` there.
 */
export async function runConformance(options) {
  const { name } = options
  const filter = process.argv[2] ?? ''
  // In this package, so that Jasmine is found.
  const work = fileURLToPath(new URL('../build/conformance', import.meta.url))
  mkdirSync(work, { recursive: true })
  const bundle = join(work, `tests-${process.pid}.cjs`)
  await bundleTests(options, bundle)

  const require = createRequire(import.meta.url)
  require('jasmine-core').boot(true)
  const env = globalThis.jasmine.getEnv()
  env.configure({ random: false, specFilter: (spec) => spec.getFullName().includes(filter) })
  const counts = { cpu: { passed: 0, failed: 0 }, [name]: { passed: 0, failed: 0 } }
  const failed = { cpu: new Set(), ours: new Map() }
  env.addReporter({
    specDone({ fullName, status, failedExpectations }) {
      const on = fullName.includes(` ${name} {`) ? name : fullName.includes(' cpu {') ? 'cpu' : undefined
      if (!on || (status !== 'passed' && status !== 'failed')) return
      counts[on][status]++
      if (status !== 'failed') return
      const key = fullName.replace(` ${on} {`, ' {')
      if (on === 'cpu') failed.cpu.add(key)
      else failed.ours.set(key, failedExpectations.map(({ message }) => message).join(' | '))
    },
  })
  try {
    require(bundle)
    await env.execute()
  } finally {
    rmSync(bundle, { force: true })
  }
  const ours = [...failed.ours].filter(([spec]) => !failed.cpu.has(spec))
  for (const [spec, message] of ours) console.log(`FAILED ${spec}\n       ${message.slice(0, 300)}`)
  const line = (on) => `${on}: ${counts[on].passed} passed, ${counts[on].failed} failed`
  console.log(`${line(name)}; ${line('cpu')}; fail on ${name} only: ${ours.length}`)
  process.exitCode = ours.length > 0 || counts[name].passed === 0 ? 1 : 0
}
