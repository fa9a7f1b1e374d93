/** One test configuration for every package: siblings are tested from their sources, results go to `.vitest/report.json`. */
import { defineConfig } from 'vitest/config'
import { SkipReasons } from './skip-reasons.mjs'

export const tests = (options = {}) =>
  defineConfig({
    resolve: { conditions: ['@tunesmith/source'] },
    ssr: { resolve: { conditions: ['@tunesmith/source'] } },
    test: {
      include: ['src/**/*.test.ts', '{lib,scripts}/**/*.test.mjs'],
      environment: 'node',
      // Tests compare with values of float32, on every processor.
      env: { TUNESMITH_CPU_PRECISION: 'f32' },
      pool: 'forks',
      testTimeout: 60_000,
      hookTimeout: 60_000,
      reporters: ['default', ['json', { outputFile: '.vitest/report.json' }], new SkipReasons()],
      server: {
        deps: { inline: [/^@tunesmith\//, /tfjs-core\/dist\/register_all_gradients/, /tfjs-core\/dist\/gradients/] },
      },
      ...options,
    },
  })
