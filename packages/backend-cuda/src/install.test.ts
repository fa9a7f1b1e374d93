import { execFile } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { emulateCuda } from './testing/emulated'

const run = promisify(execFile)
const root = dirname(dirname(fileURLToPath(import.meta.url)))
const target = `${process.platform}-${process.arch}`
const name = `@tunesmith/backend-cuda-${target}`
const scratch = mkdtempSync(join(tmpdir(), 'tunesmith-cuda-install-'))
const built = existsSync(join(root, 'dist', 'index.js')) && target === 'linux-x64'
if (!built)
  console.warn('skipped: installing needs the built package (npm run build) on a platform with a prebuilt addon')
const possible = built && emulateCuda('f32')

/** A program's folder as npm leaves it: the package's published files, its dependencies, and `others`. */
function project(folder: string, others: Record<string, string> = {}): string {
  const home = join(scratch, folder)
  const own = join(home, 'node_modules', '@tunesmith', 'backend-cuda')
  mkdirSync(own, { recursive: true })
  for (const part of ['package.json', 'dist']) cpSync(join(root, part), join(own, part), { recursive: true })
  const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  for (const dependency of Object.keys(dependencies)) {
    const at = join(home, 'node_modules', dependency)
    mkdirSync(dirname(at), { recursive: true })
    symlinkSync(join(root, 'node_modules', dependency), at, 'junction')
  }
  for (const [other, from] of Object.entries(others))
    cpSync(from, join(home, 'node_modules', other), { recursive: true })
  return home
}

// As a program finds the backend: no variable of the tests may help it.
const program = `
  import * as tf from '@tensorflow/tfjs-core'
  import { diagnoseCuda, registerCudaBackend } from '@tunesmith/backend-cuda'
  const { problem, remedy } = diagnoseCuda()
  if (problem) {
    console.log(problem + ' / ' + remedy)
  } else {
    registerCudaBackend({ precision: 'f32' })
    await tf.setBackend('cuda')
    console.log(tf.matMul(tf.ones([3, 4]), tf.ones([4, 2])).dataSync().join())
  }`

async function runProgram(home: string): Promise<string> {
  writeFileSync(join(home, 'program.mjs'), program)
  const { stdout } = await run(process.execPath, ['program.mjs'], {
    cwd: home,
    env: { PATH: '/nowhere', HOME: home },
  })
  return stdout
}

// The emulated addon stands for the one of nvcc here; scripts/test-cuda.mjs installs that one where it can be made.
describe.runIf(possible)('the CUDA addon installed from a package', () => {
  const made = join(scratch, 'npm', target)
  beforeAll(async () => {
    const addon = join(root, 'build', 'Release', 'tunesmith_cuda_emulated.node')
    await run(process.execPath, [
      join(root, 'scripts', 'prebuilt.mjs'),
      `--addon=${addon}`,
      `--out=${join(scratch, 'npm')}`,
    ])
  })

  test('is found without a compiler and computes', async () => {
    const { stdout } = await run('npm', ['pack', '--silent', '--pack-destination', scratch], { cwd: made })
    const unpacked = join(scratch, 'unpacked-cuda')
    mkdirSync(unpacked)
    await run('tar', ['-xzf', join(scratch, stdout.trim()), '-C', unpacked])
    expect(await runProgram(project('cuda', { [name]: join(unpacked, 'package') }))).toBe('4,4,4,4,4,4\n')
  })

  test('of another version is refused with both versions', async () => {
    const other = join(scratch, 'cuda-other')
    cpSync(made, other, { recursive: true })
    const manifest = JSON.parse(readFileSync(join(other, 'package.json'), 'utf8'))
    writeFileSync(join(other, 'package.json'), JSON.stringify({ ...manifest, version: '99.1.2' }))
    const printed = await runProgram(project('cuda-other-version', { [name]: other }))
    expect(printed).toContain(`${name}: is version 99.1.2, this package is ${manifest.version}`)
    expect(printed).toContain(`npm install ${name}@${manifest.version}`)
  })

  test('that is not there is named with what to install', async () => {
    const printed = await runProgram(project('cuda-missing'))
    expect(printed).toMatch(`The CUDA addon is not there (${name}: not installed; tunesmith_cuda.node: not there)`)
    expect(printed).toMatch(`npm install ${name}@`)
  })

  test('is needed to publish', async () => {
    rmSync(made, { recursive: true })
    const flags = ['--publish', '--dry-run', `--out=${join(scratch, 'npm')}`]
    const publish = run(process.execPath, [join(root, 'scripts', 'prebuilt.mjs'), ...flags])
    await expect(publish).rejects.toThrow(`not there: ${made}`)
  })
})

afterAll(() => rmSync(scratch, { recursive: true }))
