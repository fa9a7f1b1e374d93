import { fileURLToPath } from 'node:url'

let bundled: Promise<string> | undefined

/** The work of a tokenizer thread: the built package's own file, or from the sources (in this repository's tests) a bundle of them. */
export async function threadWork(): Promise<string | URL> {
  if (!import.meta.url.endsWith('.ts')) return new URL('./worker.js', import.meta.url)
  bundled ??= bundle(fileURLToPath(new URL('./worker.ts', import.meta.url)))
  return bundled
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
    logLevel: 'error',
  })
  return `(data) => {
    const module = { exports: {} }
    ;((module, exports) => { ${outputFiles[0]!.text}\n })(module, module.exports)
    return module.exports.default(data)
  }`
}
