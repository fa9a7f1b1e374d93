import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { invalidFile, writeFileAtomic } from '@tunesmith/core'
import { readJsonFile } from '@tunesmith/hub'
import { z } from 'zod'

export const MANIFEST_FILE = 'checkpoint.json'

const manifestSchema = z.object({
  format: z.literal(1),
  step: z.number().int(),
  /** When the run began that saved it. */
  run: z.number(),
  files: z.record(z.string(), z.object({ bytes: z.number(), sha256: z.string() })),
})
export type Manifest = z.output<typeof manifestSchema>

async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path, { highWaterMark: 2 ** 20 })) hash.update(chunk as Buffer)
  return hash.digest('hex')
}

/** Lists every file of a folder with size and digest, in a file of its own that is written last. */
export async function writeManifest(folder: string, { step, run }: { step: number; run: number }): Promise<void> {
  const files: Manifest['files'] = {}
  for (const name of (await readdir(folder, { recursive: true })).sort()) {
    const path = join(folder, name)
    const found = await stat(path)
    if (found.isFile()) files[name] = { bytes: found.size, sha256: await sha256(path) }
  }
  const manifest: Manifest = { format: 1, step, run, files }
  await writeFileAtomic(join(folder, MANIFEST_FILE), `${JSON.stringify(manifest, null, 2)}\n`)
}

export async function readManifest(folder: string): Promise<Manifest> {
  const path = join(folder, MANIFEST_FILE)
  const parsed = manifestSchema.safeParse(await readJsonFile(path))
  if (parsed.success) return parsed.data
  throw invalidFile('Not a list of a checkpoint’s files', { where: path })
}

/** @throws {TunesmithError} `invalid_file` naming the first file that is missing, cut short or changed. */
export async function verifyFiles(folder: string, { files }: Manifest): Promise<void> {
  for (const [name, { bytes, sha256: expected }] of Object.entries(files)) {
    const path = join(folder, name)
    const size = await stat(path).then(
      (found) => (found.isFile() ? found.size : undefined),
      () => undefined,
    )
    const problem =
      size === undefined
        ? 'is missing'
        : size !== bytes
          ? `has ${size} bytes instead of ${bytes}`
          : (await sha256(path)) !== expected
            ? 'was changed after it was saved'
            : undefined
    if (problem)
      throw invalidFile(`A file of the checkpoint ${problem}`, {
        where: path,
        remedy: 'Resume from an older checkpoint',
      })
  }
}
