import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { rougeScore } from '@tunesmith/eval-metrics'

/** What the local judge calls itself, so that nobody takes it for a language model. */
export const RULE_JUDGE = 'rule: ROUGE-L against the reference, a tie within 0.02'

interface ChatRequest {
  messages: { role: string; content: string }[]
}

/** A quoted part of the judge's question, by its title. */
const part = (question: string, title: string) =>
  new RegExp(`(?:^|\\n)${title}\\n(=+)\\n([\\s\\S]*?)\\n\\1(?:\\n|$)`).exec(question)?.[2] ?? ''

/** The verdict by the rule: the answer that shares the longer sequence of words with the reference. */
export function ruleVerdict(question: string): string {
  const reference = part(question, 'A correct answer, for orientation')
  const score = (title: string) =>
    rougeScore({ prediction: part(question, title), reference, rougeTypes: ['rougeL'], useStemmer: true }).rougeL!
      .fmeasure
  const [a, b] = [score('Answer A'), score('Answer B')]
  const verdict = Math.abs(a - b) <= 0.02 ? 'tie' : a > b ? 'A' : 'B'
  return `ROUGE-L of A is ${a.toFixed(3)}, of B ${b.toFixed(3)}.\nVerdict: ${verdict}`
}

/**
 * A server with the interface of a language model that judges by {@link RULE_JUDGE}: the same requests, order swaps and
 * journal as with a real one, offline. A real endpoint is given by TUNESMITH_JUDGE_URL and its companions.
 */
export async function startRuleJudge(): Promise<{ endpoint: string; stop: () => Promise<void> }> {
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    const { messages } = JSON.parse(body) as ChatRequest
    const content = ruleVerdict(messages.at(-1)!.content)
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify({ choices: [{ message: { role: 'assistant', content } }], usage: {} }))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    endpoint: `http://127.0.0.1:${port}/v1`,
    stop: () => new Promise((resolve) => server.close(() => resolve())),
  }
}

export interface ChosenJudge {
  endpoint: string
  model: string
  apiKey?: string
  stop: () => Promise<void>
}

/** The language model that TUNESMITH_JUDGE_URL, _MODEL and _KEY name; without one the local judge, under its own name. */
export async function chooseJudge(env: NodeJS.ProcessEnv = process.env): Promise<ChosenJudge> {
  const { TUNESMITH_JUDGE_URL: endpoint, TUNESMITH_JUDGE_MODEL: model = 'judge', TUNESMITH_JUDGE_KEY: apiKey } = env
  if (endpoint) return { endpoint, model, ...(apiKey && { apiKey }), stop: async () => {} }
  return { model: RULE_JUDGE, ...(await startRuleJudge()) }
}
