import type { Tokenizer } from '@tunesmith/tokenization'
import type { CausalLM } from '../causal-lm'

/** What ends an answer. */
export interface AnswerEnds {
  tokenIds: number[]
  /** Texts that end it and are no tokens of the vocabulary. */
  strings: string[]
}

/**
 * What ends an answer: the tokens of the model's generation_config.json or config.json, the tokenizer's EOS token, and what
 * the chat template ends a turn with, for a model that was trained on conversations writes that.
 */
export function answerEnds({ generation }: Pick<CausalLM, 'generation'>, tokenizer: Tokenizer): AnswerEnds {
  const own = tokenizer.eosTokenId
  const { tokens, ids } = tokenizer.endOfTurn()
  return {
    tokenIds: [...new Set([...generation.eosTokenIds, ...(own === undefined ? [] : [own]), ...ids])],
    strings: tokens.filter((token) => tokenizer.tokenToId(token) === undefined),
  }
}

/** The tokens that end an answer; see {@link answerEnds}. */
export function endTokens(model: Pick<CausalLM, 'generation'>, tokenizer: Tokenizer): number[] {
  return answerEnds(model, tokenizer).tokenIds
}
