import { Worker } from 'node:worker_threads'
import { badRequest } from '../errors'
import { libraryText, type TokenTable } from './xgrammar'

/** Milliseconds in which a schema must have become a grammar. */
const TIME_LIMIT = 5000
const MEMORY_LIMIT = 512

/** What the thread runs, as text, so that the built package and its sources need no file of its own for it. */
const WORK = `
const { workerData: { file, text, table, schema }, parentPort } = require('node:worker_threads')
const made = { exports: {} }
new Function('module', 'exports', 'require', '__filename', '__dirname', text)(
  made, made.exports, require, file, require('node:path').dirname(file))
const { TokenizerInfo, GrammarCompiler } = made.exports.default ?? made.exports
void (async () => {
  const info = await TokenizerInfo.createTokenizerInfo(table.tokens, table.type, false, table.size)
  const compiler = await GrammarCompiler.createGrammarCompiler(info, false)
  await compiler.compileJSONSchema(schema, false, -1)
  parentPort.postMessage('compiled')
})()
`

/**
 * Compiles a schema in a thread of its own: one that the library cannot take ends its whole instance, and one may take it very long.
 *
 * @throws {RequestError} 400 when it cannot, or not in time.
 */
export async function trySchema(schema: string, table: TokenTable, where: string): Promise<void> {
  const library = await libraryText()
  const worker = new Worker(WORK, {
    eval: true,
    workerData: { ...library, table, schema },
    stdout: true,
    stderr: true,
    resourceLimits: { maxOldGenerationSizeMb: MEMORY_LIMIT },
  })
  let timer: NodeJS.Timeout | undefined
  try {
    const reason = await new Promise<string | undefined>((resolve) => {
      timer = setTimeout(() => resolve(`no grammar in ${TIME_LIMIT / 1000} seconds`), TIME_LIMIT)
      worker.once('message', () => resolve(undefined))
      worker.once('error', () => resolve('no grammar'))
      worker.once('exit', () => resolve('no grammar'))
    })
    if (reason) throw badRequest(`The schema makes ${reason}: say it in a simpler way`, 'invalid_json_schema', where)
  } finally {
    clearTimeout(timer)
    await worker.terminate()
  }
}
