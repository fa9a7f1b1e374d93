import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { checkOutputFolder, recoverFolders, refuseSources, writeOutputFolder } from './index'

let folder: string
const at = (...names: string[]) => join(folder, ...names)
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tunesmith-output-'))
  await mkdir(at('models', 'base'), { recursive: true })
  await writeFile(at('models', 'base', 'weights'), 'precious')
})
afterEach(() => rm(folder, { recursive: true }))
const write = (path: string, options: Parameters<typeof checkOutputFolder>[1] = {}) =>
  writeOutputFolder(path, options, async (temporary) => {
    await writeFile(join(temporary, 'weights'), 'new')
    return 'done'
  })

it('refuses the source under every name, and the folders around it, whatever is asked for', async () => {
  await symlink(at('models', 'base'), at('link'))
  await symlink(at('models'), at('around'))
  const source = at('models', 'base')
  const names = [
    source,
    `${source}/`,
    relative(process.cwd(), source),
    at('models', '..', 'models', '.', 'base'),
    at('link'),
    at('around', 'base'),
    at('models'),
    at('around'),
    folder,
    '/',
  ]
  for (const name of names) {
    const refused = { code: 'invalid_options', where: name, remedy: expect.stringContaining('another place') }
    await expect(write(name, { overwrite: true, sources: [source] }), name).rejects.toMatchObject(refused)
    await expect(write(name, { overwrite: true, sources: [at('link')] }), name).rejects.toMatchObject(refused)
    await expect(refuseSources(name, [at('models', 'base', 'weights')]), name).rejects.toMatchObject(refused)
  }
  expect(await readFile(at('models', 'base', 'weights'), 'utf8')).toBe('precious')
  expect(await write(at('models', 'new'), { sources: [source, 'some/hub-id'] })).toBe('done')
})

it('refuses the folder that the files of a source are linked to', async () => {
  await mkdir(at('snapshot'))
  await symlink(at('models', 'base', 'weights'), at('snapshot', 'weights'))
  await expect(write(at('models', 'base'), { overwrite: true, sources: [at('snapshot')] })).rejects.toThrow(
    /around what is read/,
  )
})

it('writes where nothing is, and over something only when told', async () => {
  await mkdir(at('empty'))
  for (const name of ['empty', 'new', join('deep', 'new')]) await write(at(name))
  await expect(write(at('new'))).rejects.toMatchObject({
    message: expect.stringContaining('weights'),
    remedy: expect.stringContaining('--overwrite'),
  })
  await writeFile(at('new', 'other'), '')
  await write(at('new'), { overwrite: true })
  expect(await readdir(at('new'))).toEqual(['weights'])
  await expect(write(at('new', 'weights'), { overwrite: true })).rejects.toThrow(/a file of this name/)
  await checkOutputFolder(at('new'), { only: (name) => name.startsWith('report') })
})

it('goes through a link to the folder behind it', async () => {
  await mkdir(at('disk'))
  await symlink(at('disk'), at('link'))
  await write(at('link'))
  expect(await readdir(at('disk'))).toEqual(['weights'])
})

it('leaves what was there when writing fails, and puts back what a dead process had moved aside', async () => {
  await write(at('out'))
  const failing = writeOutputFolder(at('out'), { overwrite: true }, async (temporary) => {
    await writeFile(join(temporary, 'half'), '')
    throw Object.assign(new Error('full'), { code: 'ENOSPC' })
  })
  await expect(failing).rejects.toMatchObject({ code: 'io', where: at('out') })
  expect(await readdir(at('out'))).toEqual(['weights'])

  await mkdir(at('.out-2.0123456789ab.tmp.old'))
  await writeFile(at('.out-2.0123456789ab.tmp.old', 'kept'), '')
  await mkdir(at('.out-2.0123456789ab.tmp'))
  await mkdir(at('.out.0123456789ab.tmp.old'))
  await mkdir(at('.other.0123456789ab.tmp'))
  expect(await recoverFolders(folder, /^out/)).toEqual(['.out.0123456789ab.tmp.old', '.out-2.0123456789ab.tmp'])
  expect(await readdir(at('out-2'))).toEqual(['kept'])
  expect((await readdir(folder)).sort()).toEqual(['.other.0123456789ab.tmp', 'models', 'out', 'out-2'])
})
