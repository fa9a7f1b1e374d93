/** A GGUF file in llama.cpp: what tests need. */
export interface LlamaCpp {
  /** Greedy tokens after a prompt; the end token does not stop it. */
  greedy(prompt: readonly number[], count: number): Promise<number[]>
  /** The probabilities of the next token. */
  probabilities(prompt: readonly number[]): Promise<Map<number, number>>
  /** Ids of a text; special tokens in it are recognised. */
  tokenize(text: string): number[]
  bos: number | null
  eos: number | null
  close(): Promise<void>
}

/** Opens a file in llama.cpp as node-llama-cpp has it prebuilt, with an adapter's file on it; keys and values are float32. */
export function openInLlamaCpp(file: string, options?: { vocabOnly?: boolean; lora?: string }): Promise<LlamaCpp>
