import { Command, Option } from '@commander-js/extra-typings'
import { selectBackend } from '@tunesmith/backend'
import { plainJson, plainText, unsupported } from '@tunesmith/core'
import { fitChat, generateText } from '@tunesmith/models'
import { checkCitations, type Passage, ragPrompt, SEARCH_MODES } from '@tunesmith/retrieval'
import { findModel, in4bit, readModel, setChatTemplate } from '../run/load'
import { openNamedIndex } from '../run/open-index'
import { count } from './numbers'
import { baseOption, chatTemplateOption, checkAnswerLength, in4bitOption } from './shared-options'

const command = () =>
  new Command('ask')
    .description('find passages for a question, and let a model answer from them, with its citations checked')
    .argument('<index>', 'made by `tunesmith index`')
    .argument('<question>')
    .option('--model <path>', 'a model or adapter that answers; without it, the passages are shown')
    .addOption(baseOption())
    .addOption(in4bitOption())
    .addOption(chatTemplateOption())
    .option('--k <n>', 'passages', count, 5)
    .addOption(new Option('--mode <mode>', 'default hybrid where the index has vectors').choices(SEARCH_MODES))
    .option('--explain', "show each passage's rank in each search")
    .option('--max-new-tokens <n>', 'longest answer', count, 256)
    .addOption(new Option('--json', 'print everything as JSON on the last line'))
type AskOptions = ReturnType<ReturnType<typeof command>['opts']>

async function run(place: string, question: string, options: AskOptions): Promise<void> {
  const index = await openNamedIndex(place, options.mode)
  const passages = await index.search(question, { k: options.k, mode: options.mode, explain: options.explain === true })
  if (passages.length === 0) console.log('No passage has a word of the question.')
  passages.forEach((passage, i) => {
    console.log(plainText(`[${i + 1}] ${passage.source} (${passage.score.toFixed(3)})${explained(passage)}`))
    console.log(plainText(`    ${passage.text.trim().replace(/\s+/g, ' ').slice(0, 240)}`))
  })
  const answered = options.model === undefined ? undefined : await answer(options.model, question, passages, options)
  if (options.json) console.log(plainJson({ question, passages, ...answered }))
  index.close()
}

function explained({ explanation }: Passage): string {
  if (!explanation) return ''
  const ranks = Object.entries(explanation).flatMap(([name, place]) => (place ? [`${name} ${place.rank}.`] : []))
  return `: ${ranks.join(', ')}`
}

async function answer(path: string, question: string, passages: readonly Passage[], options: AskOptions) {
  await selectBackend()
  const { model, tokenizer } = await readModel(await findModel(path, options), in4bit(options.loadIn4bit))
  const { maxNewTokens } = options
  checkAnswerLength(model, maxNewTokens)
  setChatTemplate(tokenizer, options.chatTemplate)
  if (!tokenizer.chatTemplate)
    throw unsupported('The tokenizer has no chat template', {
      where: path,
      remedy: 'Name the one it was trained with, --chat-template',
    })
  const room = model.config.maxPositionEmbeddings - maxNewTokens
  const countTokens = (text: string) => tokenizer.encode(text, { addSpecialTokens: false }).ids.length
  // The template writes around each message.
  const { messages, used, left } = ragPrompt({ question, passages, maxTokens: Math.max(1, room - 64), countTokens })
  if (left > 0) console.log(`(${left} passages do not fit into the model's context)`)
  const { ids } = fitChat(tokenizer, messages, { maxTokens: room })
  const [generated] = await generateText(model, tokenizer, [ids], { maxNewTokens, doSample: false })
  model.dispose()
  const text = generated!.text.trim()
  const checked = checkCitations(text, used)
  console.log(`\n${plainText(text)}\n`)
  if (checked.abstained) console.log('The model says that it is not in the sources.')
  if (checked.unknown.length > 0) console.log(`cited, but not given: ${checked.unknown.join(', ')}`)
  for (const claim of checked.claims)
    if (!claim.supported) console.log(plainText(`without support in what it cites: ${claim.text}`))
  return { answer: text, used, ...checked }
}

export const askCommand = () => command().action(run)
