/** Everything a bench needs: `import { interleaved, row, pythonVenv, startWorker } from './lib/index.mjs'`. */
export { ownPeakMemory, peakMemoryOf, runChild, startWorker } from './children.mjs'
export { machine } from './machine.mjs'
export { interleaved, median, row, speedRow } from './measure.mjs'
export { startPeak } from './peak.mjs'
export { pythonVenv } from './python.mjs'
export { shared } from './shared.mjs'
