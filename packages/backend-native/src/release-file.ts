import { fileURLToPath } from 'node:url'

/** The path of something compiled on this machine; the same from the sources and from the bundle. */
export function releaseFile(name: string): string {
  return fileURLToPath(new URL(`../build/Release/${name}`, import.meta.url))
}
