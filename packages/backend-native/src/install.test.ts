import { execFile } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const run = promisify(execFile)
const root = dirname(dirname(fileURLToPath(import.meta.url)))
const target = `${process.platform}-${process.arch}`
const name = `@tunesmith/backend-native-${target}`
const scratch = mkdtempSync(join(tmpdir(), 'tunesmith-install-'))
const platforms = ['linux-x64', 'linux-arm64', 'darwin-arm64', 'win32-x64']
const possible = existsSync(join(root, 'dist', 'index.js')) && platforms.includes(target)
if (!possible)
  console.warn('skipped: installing needs the built package (npm run build) on a platform with a prebuilt addon')

/** A program's folder as npm leaves it: the package's published files, its dependencies, and `others`. */
function project(folder: string, others: Record<string, string> = {}): string {
  const home = join(scratch, folder)
  const own = join(home, 'node_modules', '@tunesmith', 'backend-native')
  mkdirSync(own, { recursive: true })
  for (const part of ['package.json', 'dist', 'native', 'scripts'])
    cpSync(join(root, part), join(own, part), { recursive: true })
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

const program = `
  import * as tf from '@tensorflow/tfjs-core'
  import { registerNativeBackend } from '@tunesmith/backend-native'
  try {
    const { isa } = registerNativeBackend()
    await tf.setBackend('native')
    console.log(isa, tf.matMul(tf.ones([3, 4]), tf.ones([4, 2])).dataSync().join())
  } catch (error) {
    console.log(error.name, error.code, error.message, error.remedy)
  }`

/** Runs the package's install script and then a program, with nothing in PATH but Node. */
async function installAndRun(home: string): Promise<{ installed: string; printed: string }> {
  const env = { PATH: join(scratch, 'bin'), HOME: home }
  const own = join(home, 'node_modules', '@tunesmith', 'backend-native')
  const install = await run(process.execPath, [join(own, 'scripts', 'build-addon.mjs'), '--installed'], {
    cwd: own,
    env,
  })
  writeFileSync(join(home, 'program.mjs'), program)
  const { stdout } = await run(process.execPath, ['program.mjs'], { cwd: home, env })
  return { installed: `${install.stdout}${install.stderr}`, printed: stdout }
}

beforeAll(async () => {
  mkdirSync(join(scratch, 'bin'))
  if (possible) await run(process.execPath, [join(root, 'scripts', 'prebuilt.mjs'), `--out=${join(scratch, 'npm')}`])
}, 240_000)
afterAll(() => rmSync(scratch, { recursive: true }))

describe.runIf(possible)('installed without a compiler', () => {
  test('the prebuilt package is complete, is taken first, and nothing is compiled', async () => {
    const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm'
    const made = join(scratch, 'npm', target)
    const manifest = JSON.parse(readFileSync(join(made, 'package.json'), 'utf8'))
    expect(manifest).toMatchObject({ name, os: [process.platform], cpu: [process.arch], main: 'tunesmith_native.node' })
    const { stdout } = await run(npm, ['pack', '--silent', '--pack-destination', scratch], { cwd: made })
    const unpacked = join(scratch, 'unpacked')
    mkdirSync(unpacked)
    await run('tar', ['-xzf', join(scratch, stdout.trim()), '-C', unpacked])
    const home = project('prebuilt', { [name]: join(unpacked, 'package') })
    const { installed, printed } = await installAndRun(home)
    expect(installed).toBe('')
    expect(printed).toMatch(/^(amx|avx512_bf16|avx512|avx2|base) 4,4,4,4,4,4\n$/)
    expect(existsSync(join(home, 'node_modules', '@tunesmith', 'backend-native', 'build', 'Release'))).toBe(false)
  })

  test('no addon at all is a TunesmithError that says what to do', async () => {
    const { installed, printed } = await installAndRun(project('missing'))
    expect(installed).toMatch(/compiler/)
    expect(printed).toMatch(/^TunesmithError backend The native addon could not be loaded: .*Run `npm run build:addon`/)
  })

  test('an addon for another processor is a TunesmithError too', async () => {
    const foreign = join(scratch, 'foreign')
    cpSync(join(scratch, 'npm', target), foreign, { recursive: true })
    const addon = join(foreign, 'tunesmith_native.node')
    const bytes = readFileSync(addon)
    // The machine type in the header of an ELF, Mach-O or PE file.
    bytes.writeUInt16LE(
      0x1234,
      bytes.readUInt16LE(0) === 0x5a4d ? bytes.readUInt32LE(60) + 4 : bytes[0] === 0x7f ? 18 : 4,
    )
    writeFileSync(addon, bytes)
    const { printed } = await installAndRun(project('wrong-processor', { [name]: foreign }))
    expect(printed).toMatch(/^TunesmithError backend The native addon could not be loaded: /)
    expect(printed).toContain(name)
  })

  test('every platform is needed to publish', async () => {
    const npm = join(scratch, 'npm')
    for (const each of platforms.filter((other) => other !== target)) {
      mkdirSync(join(npm, each), { recursive: true })
      writeFileSync(join(npm, each, 'tunesmith_native.node'), '')
    }
    const missing = join(npm, platforms.find((each) => each !== target)!)
    rmSync(missing, { recursive: true })
    const flags = ['--publish', '--dry-run', `--out=${npm}`]
    const publish = run(process.execPath, [join(root, 'scripts', 'prebuilt.mjs'), ...flags])
    await expect(publish).rejects.toThrow(`not there: ${missing}`)
  })
})
