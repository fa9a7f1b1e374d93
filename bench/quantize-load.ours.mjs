// One load of quantize-load.mjs in this process. The peak is counted from the moment before: Node, the libraries and the
// worker threads' own memory are not the checkpoint's.
import { readFileSync } from 'node:fs'
import { selectBackend, weightBytes } from '@tunesmith/backend'
import { loadModel } from '@tunesmith/models'
import { createQuantizationPool } from '@tunesmith/quantization'
import { ownPeakMemory } from './lib/index.mjs'

const folder = process.argv[2]
await selectBackend({ backend: 'native' })
// Starts and ends a pool, so that what threads cost by being there is in the base.
const pool = createQuantizationPool()
await pool.quantize4bit({ data: new Float32Array(1 << 20) })
await pool.close()
globalThis.gc?.()

const resident = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]) * 1024
const base = process.platform === 'linux' ? resident() : process.memoryUsage.rss()
const start = performance.now()
const quantizationConfig = { loadIn4bit: true, bnb4bitQuantType: 'nf4', bnb4bitUseDoubleQuant: true }
const model = await loadModel(folder, { quantizationConfig })
const seconds = (performance.now() - start) / 1000
const weights = [model.embedTokens, model.lmHead, ...model.decoderLinears()].map((module) => module.weight)
const distinct = [...new Set(weights)]
const quantized = distinct.reduce((sum, weight) => sum + weightBytes(weight), 0)
const largest = Math.max(...distinct.map(({ outFeatures, inFeatures }) => 2 * outFeatures * inFeatures))
console.log(JSON.stringify({ seconds, quantized, largest, peak: ownPeakMemory() - base }))
