/**
 * Loaded before a notebook with `--import`: the script named by TUNESMITH_NOTEBOOK is instrumented as it is read, and what
 * it prints and shows is appended, with the cell it came from, to the file TUNESMITH_NOTEBOOK_RECORD, one JSON per line.
 */
import { appendFileSync, writeFileSync } from 'node:fs'
import { register } from 'node:module'

const record = process.env.TUNESMITH_NOTEBOOK_RECORD
if (record) {
  register('./instrument-hook.mjs', import.meta.url, { data: process.env.TUNESMITH_NOTEBOOK })
  writeFileSync(record, '')
  let cell = 0
  const write = (entry) => appendFileSync(record, `${JSON.stringify({ cell, ...entry })}\n`)
  for (const name of ['stdout', 'stderr']) {
    const stream = process[name]
    const original = stream.write.bind(stream)
    stream.write = (chunk, ...rest) => {
      if (!silent) write({ kind: name, text: typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString('utf8') })
      return original(chunk, ...rest)
    }
  }
  let silent = false
  globalThis.__notebook = {
    enter(index) {
      cell = index
    },
    /** Records rich output; what `print` writes for the terminal meanwhile is not recorded twice. */
    show(item, print) {
      write(item)
      silent = true
      try {
        print()
      } finally {
        silent = false
      }
    },
  }
  // Children of the notebook are programs of their own.
  delete process.env.TUNESMITH_NOTEBOOK_RECORD
  delete process.env.TUNESMITH_NOTEBOOK
}
