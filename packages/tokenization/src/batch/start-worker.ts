import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'

let bundled: Promise<string> | undefined

/** Starts a worker: from the built package its own file, from the sources (in this repository's tests) a bundle of them. */
export async function startWorker(workerData: unknown): Promise<Worker> {
  if (!import.meta.url.endsWith('.ts')) return new Worker(new URL('./worker.js', import.meta.url), { workerData })
  bundled ??= bundle(fileURLToPath(new URL('./worker.ts', import.meta.url)))
  return new Worker(await bundled, { workerData, eval: true })
}

interface Bundler {
  build(options: object): Promise<{ outputFiles: { text: string }[] }>
}

async function bundle(entry: string): Promise<string> {
  const name = 'esbuild' // a development dependency: not to be resolved from the built package
  const { build } = (await import(/* @vite-ignore */ name)) as Bundler
  const { outputFiles } = await build({
    entryPoints: [entry],
    bundle: true,
    write: false,
    platform: 'node',
    format: 'cjs',
    conditions: ['@tunesmith/source'],
  })
  return outputFiles[0]!.text
}
