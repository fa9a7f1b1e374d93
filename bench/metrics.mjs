/** Pairs of texts scored per second with ROUGE, BLEU, chrF++ and TER, against rouge_score's algorithm and sacrebleu in Python. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Random } from '@tunesmith/core'
import { bleu, chrf, rouge, ter } from '@tunesmith/eval-metrics'
import { interleaved, pythonVenv, speedRow, startWorker } from './lib/index.mjs'

const SYLLABLES = 'ba con der el fin gra hi ing jo ka lum mor ness or pre qui ration s tion u ver wal y zen'.split(' ')

/** Summaries of 15 to 60 words in one to three lines, and predictions that keep about two thirds of them. */
function makePairs(count) {
  const random = new Random(11, 'metrics bench')
  const word = () => Array.from({ length: 1 + random.int(4) }, () => random.pick(SYLLABLES)).join('')
  const vocabulary = Array.from({ length: 6000 }, word)
  // Few words are frequent and most are rare, as in real text.
  const next = () => vocabulary[Math.floor(6000 ** random.uniform()) - 1]
  const text = (words) => {
    const lines = 1 + random.int(3)
    const length = Math.ceil(words.length / lines)
    const line = (i) => words.slice(i * length, (i + 1) * length).join(' ')
    return Array.from({ length: lines }, (_, i) => `${line(i)}.`).join('\n')
  }
  const references = Array.from({ length: count }, () => Array.from({ length: 15 + random.int(46) }, next))
  const vary = (words) =>
    words.flatMap((kept) => {
      const dice = random.uniform()
      return dice < 0.7 ? [kept] : dice < 0.8 ? [] : dice < 0.9 ? [next()] : [kept, next()]
    })
  return { predictions: references.map((words) => text(vary(words))), references: references.map(text) }
}

const TYPES = ['rouge1', 'rouge2', 'rougeL', 'rougeLsum']
const fmeasures = ({ mean }) => TYPES.map((type) => mean[type].fmeasure)

/** Ours by the peer's task names; each returns the scores, so that speed is never bought with another result. */
const OURS = {
  rouge: (pairs) => fmeasures(rouge({ ...pairs, rougeTypes: TYPES })),
  'rouge-stemmer': (pairs) => fmeasures(rouge({ ...pairs, rougeTypes: TYPES, useStemmer: true })),
  bleu: (pairs) => [bleu(pairs).score],
  'chrf++': (pairs) => [chrf({ ...pairs, wordOrder: 2 }).score],
  ter: (pairs) => [ter(pairs).score],
}

export async function run({ rounds = 3, pairs = 10_000 } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'tunesmith-bench-'))
  const path = join(folder, 'pairs.json')
  const data = makePairs(pairs)
  writeFileSync(path, JSON.stringify(data))
  const peer = startWorker(await pythonVenv(['sacrebleu', 'nltk']), [new URL('metrics.peer.py', import.meta.url), path])
  // The slow ones on fewer pairs, or the peer alone would take many minutes.
  const tasks = { rouge: 1, 'rouge-stemmer': 1, bleu: 1, 'chrf++': 0.2, ter: 0.05 }
  const rows = []
  try {
    for (const [task, share] of Object.entries(tasks)) {
      const amount = Math.ceil(pairs * share)
      const part = { predictions: data.predictions.slice(0, amount), references: data.references.slice(0, amount) }
      let ours = []
      let theirs = []
      const seconds = await interleaved(
        {
          ours: () => {
            ours = OURS[task](part)
          },
          peer: async () => {
            const answer = await peer.call({ call: 'score', task, pairs: amount })
            theirs = answer.scores
            return answer.seconds
          },
        },
        { rounds },
      )
      const differ = ours.findIndex((score, i) => !(Math.abs(score - theirs[i]) < 1e-9))
      if (differ !== -1) throw new Error(`${task}: ours is ${ours[differ]}, the peer's ${theirs[differ]}`)
      const name = task === 'rouge' ? 'rouge 1, 2, L, Lsum' : task === 'rouge-stemmer' ? 'the same, stemmed' : task
      rows.push(speedRow({ case: `${name}, ${amount} pairs`, seconds, amount, unit: 'pairs/s' }))
    }
    return { rows }
  } finally {
    peer.close()
    rmSync(folder, { recursive: true, force: true })
  }
}
