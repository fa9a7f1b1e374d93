import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, rename, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { notFound, TunesmithError } from '@tunesmith/core'
import { optionalPackageFolder } from '../import-optional'
import { bindingPath, librariesIn, TFJS_NODE_PACKAGES, type TfjsNodePackage } from './package'
import { findPythonTensorFlow, installPythonTensorFlow, type PythonTensorFlow } from './python'

const run = promisify(execFile)
const require = createRequire(import.meta.url)

export interface TensorFlowDiagnosis {
  /** The installed package that would be used. */
  package: TfjsNodePackage | undefined
  /** Where its compiled binding must lie, and whether it does. */
  binding: { path: string; exists: boolean } | undefined
  /** What the binding reports when it is loaded, or why it cannot be. */
  loads: { version: string } | { error: string } | undefined
  /** A Python TensorFlow whose libraries could serve. */
  python: PythonTensorFlow | undefined
  /** NVIDIA driver and cuDNN as the dynamic linker sees them. */
  cuda: { driver: string | undefined; cudnn: boolean }
  /** What to do next, or undefined when all is well. */
  remedy: string | undefined
}

/** Loads a binding in a process of its own: a wrong library can take the process with it. */
async function tryBinding(path: string): Promise<{ version: string } | { error: string }> {
  try {
    const { stdout } = await run(process.execPath, ['-e', `console.log(require(${JSON.stringify(path)}).TF_Version)`])
    return { version: stdout.trim() }
  } catch (error) {
    const text = (error as { stderr?: string }).stderr ?? String(error)
    return { error: /Error: (.*)/.exec(text)?.[1] ?? text.trim().split('\n').at(-1) ?? 'it crashed' }
  }
}

async function findCuda(): Promise<TensorFlowDiagnosis['cuda']> {
  const driver = await run('nvidia-smi', ['--query-gpu=driver_version,name', '--format=csv,noheader'])
    .then(({ stdout }) => stdout.trim().split('\n')[0])
    .catch(() => undefined)
  const cudnn = await run('ldconfig', ['-p'])
    .then(({ stdout }) => /libcudnn\.so/.test(stdout))
    .catch(() => false)
  return { driver, cudnn }
}

/** Looks for everything that the backend `tensorflow` needs. Changes nothing. */
export async function diagnoseTensorFlow(): Promise<TensorFlowDiagnosis> {
  const name = TFJS_NODE_PACKAGES.find((candidate) => optionalPackageFolder(candidate) !== undefined)
  const path = name && bindingPath(name)
  const binding = path === undefined ? undefined : { path, exists: existsSync(path) }
  const loads = binding?.exists ? await tryBinding(binding.path) : undefined
  const [python, cuda] = await Promise.all([findPythonTensorFlow(), findCuda()])
  const fix = 'npx tunesmith doctor --fix'
  const remedy =
    name === undefined
      ? 'npm install --ignore-scripts @tensorflow/tfjs-node   (or -gpu), then npx tunesmith doctor --fix'
      : loads === undefined || 'error' in loads
        ? fix
        : undefined
  return { package: name, binding, loads, python, cuda, remedy }
}

/**
 * Makes an installed tfjs-node loadable: takes libtensorflow from an installed Python TensorFlow, or gets one with pip,
 * and compiles the package's own binding against it.
 *
 * @param say gets a line per step.
 * @throws {TunesmithError} `not_found` when the package or a compiler is missing or pip fails; `backend` when the
 *   compiled binding does not load.
 */
export async function fixTensorFlow(say: (line: string) => void): Promise<TensorFlowDiagnosis> {
  const before = await diagnoseTensorFlow()
  if (before.package === undefined || before.binding === undefined)
    throw notFound('Neither @tensorflow/tfjs-node nor @tensorflow/tfjs-node-gpu is installed', {
      remedy: `Run ${before.remedy}`,
    })
  if (before.remedy === undefined) return before
  let python = before.python
  if (!python || !librariesIn(python.folder)) {
    say('getting TensorFlow with pip (some hundred megabytes)')
    python = await installPythonTensorFlow(before.package.endsWith('-gpu'))
  }
  say(`compiling the binding of ${before.package} against libtensorflow ${python.version}`)
  await compileBinding(dirname(dirname(dirname(before.binding.path))), before.binding.path, python)
  const after = await diagnoseTensorFlow()
  if (after.loads && 'version' in after.loads) return after
  throw new TunesmithError(`The binding was compiled and does not load: ${after.loads?.error ?? 'it is not there'}`, {
    code: 'backend',
    where: before.binding.path,
  })
}

/** One compiler call over the two source files that tfjs-node ships. */
async function compileBinding(folder: string, target: string, python: PythonTensorFlow): Promise<void> {
  const libraries = librariesIn(python.folder)
  if (!libraries)
    throw notFound('This TensorFlow has no shared libraries', {
      where: python.folder,
      remedy: 'Install tensorflow or tensorflow-cpu 2.16 or newer with pip',
    })
  const { include_dir: headers } = require('node-api-headers') as { include_dir: string }
  const compiler = process.env.CXX ?? 'c++'
  const temporary = `${target}.tmp`
  await mkdir(dirname(target), { recursive: true })
  const sources = ['tfjs_backend.cc', 'tfjs_binding.cc'].map((name) => join(folder, 'binding', name))
  const flags = ['-std=c++17', '-O2', '-fPIC', '-shared', '-DNAPI_VERSION=8']
  const includes = [headers, join(python.folder, 'include'), join(folder, 'binding')].map((path) => `-I${path}`)
  try {
    await run(compiler, [
      ...flags,
      ...includes,
      ...sources,
      '-o',
      temporary,
      ...libraries.files,
      `-Wl,-rpath,${libraries.folder}`,
    ])
    await rename(temporary, target)
  } catch (cause) {
    await rm(temporary, { force: true })
    const { code, stderr } = cause as { code?: string; stderr?: string }
    const missing = code === 'ENOENT'
    throw new TunesmithError(
      missing ? `There is no compiler "${compiler}"` : `The binding does not compile: ${stderr?.split('\n')[0]}`,
      {
        code: missing ? 'not_found' : 'backend',
        where: folder,
        remedy: missing
          ? 'Install g++ or clang, or name one in CXX'
          : 'Try another TensorFlow, named by TUNESMITH_PYTHON',
        cause,
      },
    )
  }
}
