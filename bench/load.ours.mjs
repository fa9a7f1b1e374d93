// Our side of load.mjs: one load in this process.
import { selectBackend } from '@tunesmith/backend'
import { generate, loadModel } from '@tunesmith/models'
import { ownPeakMemory } from './lib/index.mjs'

await selectBackend({ backend: 'native' })
const start = performance.now()
const seconds = () => (performance.now() - start) / 1000
const model = await loadModel(process.argv[2])
const [load, loadMemory] = [seconds(), ownPeakMemory()]
await generate(model, [[1, 2, 3]], { maxNewTokens: 1, stopTokenIds: [] })
console.log(JSON.stringify({ load, loadMemory, token: seconds(), tokenMemory: ownPeakMemory() }))
