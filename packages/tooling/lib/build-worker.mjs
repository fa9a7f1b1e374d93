import { symlink } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'tsup'

const native = fileURLToPath(new URL('../../backend-native', import.meta.url))

/**
 * Bundles a program from the workspace's sources into one file that starts fast.
 *
 * @param {string} entry the program's file, `.../NAME.ts`
 * @param {string} folder gets `dist/NAME.mjs`, and a link to the addon where the native backend looks for it.
 * @returns {Promise<string>} the file to run.
 */
export async function buildWorker(entry, folder) {
  const name = basename(entry, '.ts')
  await build({
    entry: { [name]: entry },
    outDir: join(folder, 'dist'),
    format: ['esm'],
    target: 'node20',
    platform: 'node',
    config: false,
    silent: true,
    dts: false,
    splitting: false,
    noExternal: [/.*/],
    outExtension: () => ({ js: '.mjs' }),
    esbuildOptions: (options) => {
      options.conditions = ['@tunesmith/source']
      options.banner = {
        js: "import { createRequire as makeRequire } from 'node:module'; const require = makeRequire(import.meta.url);",
      }
    },
    esbuildPlugins: [
      {
        // What is looked up at run time in an installation is part of the bundle here.
        name: 'native-backend',
        setup(build) {
          build.onLoad({ filter: /backend[\\/]src[\\/]import-optional\.ts$/ }, () => ({
            contents: `export const importOptional = (name) => name === '@tunesmith/backend-native'
                ? import(${JSON.stringify(join(native, 'src/index.ts'))})
                : Promise.reject(new Error('not in this bundle'))
              export const resolveOptional = () => undefined
              export const optionalPackageFolder = () => undefined`,
            loader: 'js',
          }))
        },
      },
    ],
  })
  await symlink(join(native, 'build'), join(folder, 'build')).catch((error) => {
    if (error.code !== 'EEXIST') throw error
  })
  return join(folder, 'dist', `${name}.mjs`)
}
