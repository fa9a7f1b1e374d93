/** Bundles the chat page into dist/page: a script, a style, an icon, the document around them, and the licenses of what is in the script. */
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const from = fileURLToPath(new URL('../page', import.meta.url))
const to = fileURLToPath(new URL('../dist/page', import.meta.url))
const require = createRequire(import.meta.url)

/** The license of a package that travels in our bundle. */
async function license(name) {
  // Its entry point lies somewhere below its folder, and package.json need not be exported.
  let folder = dirname(require.resolve(name))
  while (!folder.endsWith(join('node_modules', name))) folder = dirname(folder)
  for (const file of ['LICENSE', 'LICENSE.md']) {
    const text = await readFile(join(folder, file), 'utf8').catch(() => undefined)
    if (text) return `${name}\n\n${text.trim()}\n`
  }
  throw new Error(`${name} has no license beside it`)
}

export async function buildPage() {
  await mkdir(to, { recursive: true })
  await build({
    entryPoints: { page: join(from, 'main.tsx') },
    outdir: to,
    bundle: true,
    minify: true,
    format: 'esm',
    target: ['chrome111', 'firefox128', 'safari16.4'],
    jsx: 'automatic',
    jsxImportSource: 'preact',
    legalComments: 'none',
    logLevel: 'warning',
  })
  await build({
    entryPoints: [join(from, 'page.css')],
    outdir: to,
    minify: true,
    target: ['chrome111', 'firefox128', 'safari16.4'],
    logLevel: 'warning',
  })
  for (const file of ['index.html', 'icon.svg']) await copyFile(join(from, file), join(to, file))
  const licenses = await Promise.all(['preact', 'marked'].map(license))
  await writeFile(join(to, 'licenses.txt'), licenses.join('\n---\n\n'))
}
