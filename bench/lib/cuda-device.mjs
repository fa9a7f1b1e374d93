// What there is to measure on, as JSON into the file that is named; ends with 3 when there is no GPU that can be used.
import { writeFileSync } from 'node:fs'
import { diagnoseCuda } from '@tunesmith/backend-cuda'

const { problem, remedy, device, libraries } = diagnoseCuda()
if (problem) {
  console.log(`No GPU to measure on: ${problem}. ${remedy ?? ''}`)
  for (const { text } of Object.values(libraries ?? {})) console.log(text)
  process.exit(3)
}
writeFileSync(process.argv[2], JSON.stringify(device))
console.log(`${device.name}, compute capability ${device.capability}, ${device.matrixProducts}`)
for (const { text } of Object.values(libraries)) console.log(text)
