import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

function sharedFolder(): string {
  if (process.env.TUNESMITH_SHARED) return process.env.TUNESMITH_SHARED
  let folder = dirname(fileURLToPath(import.meta.url))
  while (!existsSync(join(folder, 'pnpm-workspace.yaml')) && dirname(folder) !== folder) folder = dirname(folder)
  return join(folder, '..', 'shared')
}

/** A golden file kept beside the repository, or undefined (with the reason printed) where it is not installed. */
export function golden<Content>(name: string): Content | undefined {
  const path = join(sharedFolder(), 'goldens', name)
  if (existsSync(path)) return JSON.parse(readFileSync(path, 'utf8')) as Content
  console.warn(`skipped: no golden file ${name}; set TUNESMITH_SHARED to the folder that has goldens/`)
  return undefined
}

/** One unsigned byte tensor out of a safetensors file (8-byte header length, JSON header, data). */
export function goldenBytes(name: string, tensor: string): { shape: number[]; data: Uint8Array } | undefined {
  const path = join(sharedFolder(), 'goldens', name)
  if (!existsSync(path)) return undefined
  const file = readFileSync(path)
  const headerEnd = 8 + Number(file.readBigUInt64LE(0))
  const header = JSON.parse(file.toString('utf8', 8, headerEnd)) as Record<
    string,
    { shape: number[]; data_offsets: [number, number] }
  >
  const { shape, data_offsets: at } = header[tensor]
  return { shape, data: file.subarray(headerEnd + at[0], headerEnd + at[1]) }
}
