// Measurements of cuda.mjs as a step: options as JSON, each row a line of its own as soon as it is there.
import { run } from '../cuda.mjs'
import { ROW } from './steps.mjs'

const told = new Set()
function onRow(row) {
  const text = JSON.stringify(row)
  if (told.has(text)) return
  told.add(text)
  console.log(`${ROW}${text}`)
}
const { rows } = await run({ ...JSON.parse(process.argv[2]), onRow })
rows.forEach(onRow)
// A worker that was forgotten must not keep the step going.
process.exit(0)
