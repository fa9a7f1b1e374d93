import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** The path of something compiled on this machine; the same from the sources and from the bundle. */
export function releaseFile(name: string): string {
  return fileURLToPath(new URL(`../build/Release/${name}`, import.meta.url))
}

/** The version of this package; the same from the sources and from the bundle. */
export function ownVersion(): string {
  const file = fileURLToPath(new URL('../package.json', import.meta.url))
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version
}
