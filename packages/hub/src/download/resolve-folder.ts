import { stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { invalidOptions, notFound, parseOptions } from '@tunesmith/core'
import { z } from 'zod'
import { HubError } from '../connection/hub-error'
import { isRepoId } from '../connection/repo'
import { downloadOptions, downloadSnapshot } from './snapshot'

const schema = z.strictObject({
  ...downloadOptions,
  /** Branch, tag or commit on the Hub. Default `main`. */
  revision: z.string().optional(),
})
export type ResolveModelFolderOptions = z.input<typeof schema>

/**
 * Copies of the weights for other programs, which `resolveModelFolder` leaves out unless patterns are given: pickled
 * PyTorch, TensorFlow, Flax, ONNX, GGUF, Meta's originals.
 */
export const otherFrameworks: readonly string[] = [
  ...'bin pt pth ckpt h5 msgpack ot onnx onnx_data tflite gguf nemo'.split(' ').map((ending) => `*.${ending}`),
  ...['original/*', 'consolidated*', 'onnx/*', 'openvino/*', 'coreml/*'],
]

/** Whether text can only be a path: `./x`, `/x`, `~/x`, `C:\x`, `a/b/c`, `x/`. */
function looksLikePath(text: string): boolean {
  return /^[./~\\]|^[a-z]:|[\\]|\/$/i.test(text) || text.split('/').length > 2
}

/**
 * The folder of a model: a local folder as it is, or a Hub id downloaded (with the cache, see
 * {@link downloadSnapshot}). A local folder of that name goes before the Hub.
 *
 * Without `allowPatterns` and `ignorePatterns`, weights for other programs are left out ({@link otherFrameworks}).
 *
 * @param idOrPath `organisation/name`, or a folder.
 * @throws {TunesmithError} `not_found` when it looks like a path and is not there, or the Hub does not have it; what
 *   {@link downloadSnapshot} throws.
 */
export async function resolveModelFolder(idOrPath: string, options: ResolveModelFolderOptions = {}): Promise<string> {
  const parsed = parseOptions(schema, options, 'resolveModelFolder')
  const stats = await stat(idOrPath).catch(() => undefined)
  if (stats?.isDirectory()) return idOrPath
  if (stats)
    throw invalidOptions('This is a file, and a model is a folder', {
      where: idOrPath,
      remedy: 'Name the folder that holds config.json and the weights',
    })
  if (looksLikePath(idOrPath) || !isRepoId(idOrPath))
    throw notFound(`There is no folder "${idOrPath}"`, {
      where: resolve(idOrPath),
      remedy: isRepoId(idOrPath)
        ? 'Check the path'
        : 'Check the path, or give a Hub id such as "HuggingFaceTB/SmolLM2-135M"',
    })
  const unpatterned = parsed.allowPatterns === undefined && parsed.ignorePatterns === undefined
  try {
    return await downloadSnapshot({
      ...parsed,
      repoId: idOrPath,
      ...(unpatterned && { ignorePatterns: [...otherFrameworks] }),
    })
  } catch (error) {
    if (!(error instanceof HubError) || error.missing !== 'repo') throw error
    throw notFound(`There is no folder "${idOrPath}" here, and no such model on the Hub that you may read`, {
      where: error.where ?? idOrPath,
      remedy: `Check the spelling and the current folder (${process.cwd()}); for a private model set HF_TOKEN to a token that may read it`,
      cause: error,
    })
  }
}
