/** Trains the tokenizer on the first documents of the prose: `pnpm run tokenizer` */
import { join } from 'node:path'
import { writeFileAtomic } from '@tunesmith/core'
import { proseDocument } from './corpus'
import { modelFolder, settings } from './settings'
import { countPieces, learnMerges } from './tokenizer/bpe'
import { SPECIAL_TOKENS, tokenizerConfig, tokenizerJson } from './tokenizer/files'

function* plainTexts(): Generator<string> {
  const special = new RegExp(SPECIAL_TOKENS.map((token) => token.replaceAll('|', '\\|')).join('|'), 'g')
  for (let i = 0; i < settings.tokenizerDocuments; i++) yield* proseDocument(settings.seed, i).split(special)
}

const merges = learnMerges(countPieces(plainTexts()), settings.vocabularySize - 256 - SPECIAL_TOKENS.length)
await writeFileAtomic(join(modelFolder, 'tokenizer.json'), `${JSON.stringify(tokenizerJson(merges))}\n`)
await writeFileAtomic(join(modelFolder, 'tokenizer_config.json'), `${JSON.stringify(tokenizerConfig(1024), null, 2)}\n`)
console.log(`${merges.length} merges; the last: ${merges.at(-1)!.join(' + ')}`)
