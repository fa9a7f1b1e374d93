import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { optionalPackageFolder } from '../import-optional'

/** Preferred first. */
export const TFJS_NODE_PACKAGES = ['@tensorflow/tfjs-node-gpu', '@tensorflow/tfjs-node'] as const
export type TfjsNodePackage = (typeof TFJS_NODE_PACKAGES)[number]

/** The newest Node-API version that tfjs-node 4.22 names a folder for; every Node since 12.22 speaks it. */
const NAPI_FOLDER = 'napi-v8'

/** Where an installed tfjs-node looks for its compiled binding; undefined when the package is not installed. */
export function bindingPath(name: TfjsNodePackage): string | undefined {
  const folder = optionalPackageFolder(name)
  return folder && join(folder, 'lib', NAPI_FOLDER, 'tfjs_binding.node')
}

/** The two shared libraries in a folder of libtensorflow or of a Python wheel. */
interface TensorFlowLibraries {
  folder: string
  files: string[]
}

const NAMES = /^lib(tensorflow|tensorflow_cc|tensorflow_framework)\.(so\.2|2\.dylib)$/

/** The libraries in a folder, or undefined when they are not there. */
export function librariesIn(folder: string): TensorFlowLibraries | undefined {
  try {
    const files = readdirSync(folder).filter((name) => NAMES.test(name))
    return files.length >= 2 ? { folder, files: files.map((name) => join(folder, name)) } : undefined
  } catch {
    return undefined
  }
}
