import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { isTunesmithError, type Message } from '@tunesmith/core'
import { describe, expect, test } from 'vitest'
import { Tokenizer } from '../tokenizer'
import { TurnFinder } from './derived-spans'
import { chatOptions } from './options'
import { renderTemplate } from './render'

const fixture = (name: string) => JSON.parse(readFileSync(new URL(`../fixtures/${name}`, import.meta.url), 'utf8'))
const folder = process.env.TUNESMITH_TRL_TEMPLATES
if (!folder) console.log('skipped: TUNESMITH_TRL_TEMPLATES names no folder of TRL templates')

const { said } = fixture('trl-masks.golden.json') as { said: Record<string, Record<string, string[]>> }
const { tools, conversations } = fixture('turns.golden.json') as {
  tools: Record<string, unknown>[]
  conversations: Record<string, Message[]>
}
const tokenizer = new Tokenizer({
  tokenizerJson: fixture('bytes.tokenizer.json'),
  config: { bos_token: '<s>', eos_token: '</s>' },
})

/**
 * What TRL's tags hold and ours do not, all of it printed by the prompt or after the end of the turn:
 * the generation prompt or a part of it (header, opened thought), which the model never writes; and Phi-3's `</s>` after a line
 * break, which closes the conversation.
 */
function explained(ours: string, theirs: string, prompt: string): boolean {
  const closed = theirs.trim().replace(/(<\|end\|>)\n<\/s>$/, '$1')
  if (closed === ours.trim()) return true
  const more = closed.slice(0, closed.length - ours.trim().length).trim()
  return closed.endsWith(ours.trim()) && prompt.slice(-100).includes(more)
}

/** Templates whose turns are no single stretch of text, or not those of their tags. */
const OTHER: Record<string, string> = {
  diffusion_gemma_training:
    'the call ends with the token that opens the response, and a header is printed without prompt',
}

describe.skipIf(!folder || !existsSync(folder))("derived masks and those of TRL's training templates", () => {
  test.each(Object.keys(said).filter((name) => !(name in OTHER)))('%s', (name) => {
    const source = readFileSync(join(folder as string, `${name}.jinja`), 'utf8')
    const template = source.replaceAll(/\{%([-+]?)\s*(end)?generation\s*([-+]?)%\}/g, (_, before, end, after) =>
      end ? `{%${before} endif ${after}%}` : `{%${before} if true ${after}%}`,
    )
    for (const [title, theirs] of Object.entries(said[name]!)) {
      const messages = conversations[title]!
      const called = messages.some(({ tool_calls }) => tool_calls)
      const options = chatOptions.parse({ template, ...(called && { tools }) })
      const finder = new TurnFinder(tokenizer, messages, options)
      const turns = finder.turns().filter(({ span }) => span[1] > span[0])
      const pieces = theirs.filter((piece) => piece.trim() !== '')
      // A turn of which nothing is printed but its header and end says nothing.
      const printed = pieces.filter(
        (piece) => turns.length === pieces.length || !/^<｜Assistant｜><｜end▁of▁sentence｜>$/.test(piece),
      )
      expect(turns.length, `${title}: ${JSON.stringify(pieces)}`).toBe(printed.length)
      for (const [k, { turn, span }] of turns.entries()) {
        const ours = finder.text.slice(...span)
        expect(
          explained(ours, printed[k]!, promptOf(messages, turn, options)),
          `${title}: ${printed[k]} | ${ours}`,
        ).toBe(true)
      }
    }
  })
})

function promptOf(messages: Message[], turn: number, options: ReturnType<typeof chatOptions.parse>): string {
  try {
    return renderTemplate(tokenizer, messages.slice(0, turn), { ...options, addGenerationPrompt: true }).text
  } catch (error) {
    if (isTunesmithError(error)) return ''
    throw error
  }
}
