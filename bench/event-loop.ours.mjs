// One measurement of event-loop.mjs: trains in a worker thread or in this one, and watches this thread's event loop.
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setImmediate as turn } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import * as tf from '@tensorflow/tfjs-core'
import { selectBackend, valueAndGrads } from '@tunesmith/backend'
import { createModel, packSequences } from '@tunesmith/models'
import { getPeftModel } from '@tunesmith/peft-lora'

async function train(steps, onStart) {
  await selectBackend({ backend: 'native' })
  const model = createModel({
    model_type: 'llama',
    vocab_size: 8000,
    hidden_size: 2048,
    intermediate_size: 5632,
    num_hidden_layers: 5,
    num_attention_heads: 32,
    num_key_value_heads: 4,
  })
  const parameters = [
    ...getPeftModel(model, { r: 16, loraAlpha: 32, targetModules: ['q_proj', 'v_proj'] })
      .parameters()
      .values(),
  ]
  const input = packSequences([Array.from({ length: 256 }, (_, i) => (i * 7919) % 8000)])
  const labels = Int32Array.from(input.inputIds, (_, i) => input.inputIds[i + 1] ?? -100)
  const microBatch = () => {
    const { value, grads } = valueAndGrads(() => model.loss(input, labels).loss, parameters)
    tf.dispose([value, ...grads])
  }
  microBatch()
  await onStart()
  const start = performance.now()
  for (let step = 0; step < steps; step++) {
    microBatch()
    await turn()
  }
  return (performance.now() - start) / steps
}

if (isMainThread) {
  const [mode, steps] = [process.argv[2], Number(process.argv[3])]
  const delay = monitorEventLoopDelay({ resolution: 5 })
  const begin = () => {
    delay.enable()
    return turn()
  }
  let step
  if (mode === 'main') step = await train(steps, begin)
  else {
    const worker = new Worker(fileURLToPath(import.meta.url), { workerData: steps })
    step = await new Promise((resolve, reject) => {
      worker.on('error', reject)
      worker.on('message', (message) => (message.started ? begin() : resolve(message.step)))
    })
  }
  await turn()
  delay.disable()
  console.log(JSON.stringify({ pause: delay.max / 1e6, step }))
  process.exit(0)
} else {
  const step = await train(workerData, async () => parentPort.postMessage({ started: true }))
  parentPort.postMessage({ step })
}
