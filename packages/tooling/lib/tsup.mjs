/** One build for every package: ESM for Node 20 with type declarations and source maps. */
import { defineConfig } from 'tsup'

export const library = (options = {}) =>
  defineConfig({
    entry: ['src/index.ts'],
    format: ['esm'],
    target: 'node20',
    platform: 'node',
    dts: true,
    sourcemap: true,
    clean: true,
    treeshake: true,
    ...options,
  })
