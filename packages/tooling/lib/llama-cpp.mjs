/** GGUF files in llama.cpp, as node-llama-cpp has it prebuilt, for tests of what is exported. */
import { getLlama } from 'node-llama-cpp'

/** Opens a file, with an adapter's file on it; keys and values are float32, so that greedy tokens can be compared. */
export async function openInLlamaCpp(file, { vocabOnly = false, lora } = {}) {
  // Without tensors it says that it cannot tell how much memory they take.
  const logLevel = vocabOnly ? 'fatal' : 'error'
  const llama = await getLlama({ gpu: false, build: 'never', logLevel, progressLogs: false })
  const model = await llama.loadModel({ modelPath: file, vocabOnly, ignoreMemorySafetyChecks: true })
  const withSequence = async (use) => {
    const context = await model.createContext({
      contextSize: 128,
      batchSize: 128,
      threads: 1,
      flashAttention: false,
      ...(lora && { lora }),
      experimentalKvCacheKeyType: 'F32',
      experimentalKvCacheValueType: 'F32',
    })
    try {
      return await use(context.getSequence())
    } finally {
      await context.dispose()
    }
  }
  return {
    greedy: (prompt, count) =>
      withSequence(async (sequence) => {
        const tokens = []
        for await (const token of sequence.evaluate([...prompt], { temperature: 0, yieldEogToken: true })) {
          tokens.push(token)
          if (tokens.length === count) break
        }
        return tokens
      }),
    probabilities: (prompt) =>
      withSequence(async (sequence) => {
        const options = { temperature: 1, topK: 0, topP: 1, yieldEogToken: true }
        const tokens = sequence.evaluateWithMetadata([...prompt], { probabilities: true }, options)
        const { value } = await tokens.next()
        return value.probabilities
      }),
    tokenize: (text) => [...model.tokenize(text, true)],
    bos: model.tokens.bos,
    eos: model.tokens.eos,
    close: () => model.dispose(),
  }
}
