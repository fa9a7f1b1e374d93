/** The module hook of recorder.mjs: hands out the notebook's source instrumented; TypeScript is translated after that. */
import { instrument } from './cells.mjs'

let notebook

export function initialize(url) {
  notebook = url
}

export async function load(url, context, next) {
  const loaded = await next(url, context)
  if (url.split('?')[0] !== notebook || loaded.source === undefined || loaded.source === null) return loaded
  return { ...loaded, source: instrument(Buffer.from(loaded.source).toString('utf8')) }
}
