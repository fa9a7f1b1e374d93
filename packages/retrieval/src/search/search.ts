import type { Table } from '@lancedb/lancedb'
import { parseOptions } from '@tunesmith/core'
import { z } from 'zod'
import type { FieldValue } from '../documents/document'
import { type Embedder, embedTexts } from '../embed/embedder'
import { failStore, lance } from '../index/lance'
import type { IndexSettings } from '../index/settings'
import { needsEmbedder, partitionsOf } from '../index/store'
import { type Analyser, createAnalyser } from '../text/analyse'
import { filterOf, type Where } from './filter'
import type { FitSource } from './fit'
import { convexFusion, type Fusion, type Ranked, reciprocalRankFusion } from './fusion'
import { maximalMarginalRelevance, wordCosine } from './mmr'
import { scoreWords, type WordScores } from './repeated-words'

export const SEARCH_MODES = ['bm25', 'dense', 'hybrid'] as const
export type SearchMode = (typeof SEARCH_MODES)[number]

/** How well each text answers the question, higher is better: see {@link likelihoodReranker}, {@link crossEncoder}. */
export type Reranker = (question: string, texts: readonly string[]) => Promise<readonly number[]>

const isFunction = (value: unknown) => typeof value === 'function'

const searchSchema = z.strictObject({
  /** Passages to find. Default 10. */
  k: z.int().min(1).max(1000).default(10),
  /** Default `hybrid` where the index is open with its embedder, else `bm25`. */
  mode: z.enum(SEARCH_MODES).optional(),
  /** How hybrid fuses. Default the fitted convex combination, or reciprocal rank fusion where nothing was fitted. */
  fusion: z
    .discriminatedUnion('method', [
      z.strictObject({ method: z.literal('rrf'), k: z.number().min(0).optional() }),
      z.strictObject({ method: z.literal('convex'), weight: z.number().min(0).max(1) }),
    ])
    .optional(),
  /**
   * Chunks that each search finds before they are fused, reranked and thinned. Default the greater of 50 and five times `k`; `k` where nothing of
   * this is done.
   */
  candidates: z.int().min(1).max(10_000).optional(),
  /** Conditions on the documents: `{ year: { from: 2010 } }`. */
  where: z.custom<Where>((value) => typeof value === 'object' && value !== null).optional(),
  /** Only the best passage of each document. Default false. */
  perDocument: z.boolean().default(false),
  /** Diversity: maximal marginal relevance with this lambda (1 changes nothing). */
  mmr: z.number().min(0).max(1).optional(),
  /** Orders the best `rerankTop` candidates anew. */
  rerank: z.custom<Reranker>(isFunction).optional(),
  rerankTop: z.int().min(1).default(30),
  /** Compares all vectors, also where an index over them is quicker and may miss some. Default false. */
  exact: z.boolean().default(false),
  /** Adds each passage's ranks and scores. Default false. */
  explain: z.boolean().default(false),
})
export type SearchOptions = z.input<typeof searchSchema>

/** A rank, from 1, and the score behind it. */
export interface Placed {
  rank: number
  score: number
}

/** Where a passage stood in each step; null where the step did not find it. */
export interface Explanation {
  bm25: Placed | null
  dense: Placed | null
  fused: Placed | null
  reranked: Placed | null
}

export interface Passage {
  /** The chunk's id. */
  id: string
  document: string
  source: string
  text: string
  /** Place in the document's text, in UTF-16 units. */
  start: number
  end: number
  metadata: Record<string, FieldValue>
  /** Of the last step that ordered the passages. */
  score: number
  explanation?: Explanation
}

const COLUMNS = ['id', 'document', 'source', 'text', 'start', 'end', 'metadata']
/** Share of the partitions that a dense search reads. */
const PROBED = 1 / 8
/** Of LanceDB's score, which carries Lucene's old factor k1 + 1. */
const BM25_SCALE = 1 / 2.2

interface Candidate extends Omit<Passage, 'score'> {
  /** By what passages are compared with each other: read where that is asked. */
  words: string[] | undefined
  vector: Float32Array | undefined
}

/** Searches one version of an index. */
export class Searcher implements FitSource {
  readonly #table: Table
  readonly #settings: IndexSettings
  readonly #embedder: Embedder | undefined
  readonly #uri: string
  readonly #analyse: Analyser

  constructor(table: Table, settings: IndexSettings, embedder: Embedder | undefined, uri: string) {
    this.#table = table
    this.#settings = settings
    this.#embedder = embedder
    this.#uri = uri
    this.#analyse = createAnalyser(settings.analyser)
  }

  async search(question: string, options: SearchOptions): Promise<Passage[]> {
    const { k, where, perDocument, mmr, rerank, rerankTop, exact, explain, ...rest } = parseOptions(
      searchSchema,
      options,
      'search',
    )
    const { mode = this.#embedder ? 'hybrid' : 'bm25' } = rest
    const thinned = perDocument || mmr !== undefined
    const { candidates = mode !== 'hybrid' && !rerank && !thinned ? k : Math.max(50, 5 * k) } = rest
    if (mode !== 'bm25' && !(this.#embedder && this.#settings.embedder)) throw needsEmbedder(this.#settings, this.#uri)
    const { weight } = this.#settings
    const fusion: Fusion = rest.fusion ?? (weight === null ? { method: 'rrf' } : { method: 'convex', weight })
    const filter = where && filterOf(where, this.#settings)
    const [bm25, dense] = await Promise.all([
      mode === 'dense' ? [] : this.#bm25(question, candidates, filter),
      mode === 'bm25' ? [] : this.#dense(question, candidates, { filter, exact }),
    ])
    const fused = mode === 'bm25' ? bm25 : mode === 'dense' ? dense : fuse(bm25, dense, fusion)
    const steps = { bm25, dense, fused: mode === 'hybrid' ? fused : [], reranked: [] as Ranked[] }
    // Where all that is wanted are the first k chunks, only those are read.
    const wanted = thinned ? fused : fused.slice(0, rerank ? Math.max(k, rerankTop) : k)
    const read = await this.#read(wanted, mmr === undefined ? undefined : mode === 'bm25' ? 'tokens' : 'vector')
    let order = wanted.filter(({ key }) => read.has(key))
    if (rerank) {
      order = await reranked(question, order, rerankTop, rerank, read)
      steps.reranked = order.slice(0, rerankTop)
    }
    if (perDocument) order = firstOfEach(order, (key) => read.get(key)!.document)
    if (mmr !== undefined) order = diverse(order, read, { count: k, lambda: mmr })
    const places = explain ? Object.entries(steps).map(([name, ranking]) => [name, placesOf(ranking)] as const) : []
    return order.slice(0, k).map(({ key, score }) => {
      const { words: _, vector: __, ...passage } = read.get(key)!
      const explanation = Object.fromEntries(places.map(([name, of]) => [name, of.get(key) ?? null]))
      return { ...passage, score, ...(explain && { explanation: explanation as unknown as Explanation }) }
    })
  }

  async rankings(question: string) {
    if (!this.#embedder) throw needsEmbedder(this.#settings, this.#uri)
    const [bm25, dense] = await Promise.all([this.#bm25(question, 50), this.#dense(question, 50)])
    const read = await this.#read([...bm25, ...dense])
    return { bm25, dense, documentOf: (key: string) => read.get(key)!.document }
  }

  async #bm25(question: string, limit: number, filter?: string): Promise<Ranked[]> {
    const { MatchQuery } = await lance()
    const search: WordScores = async (words, { limit, among }) => {
      let query = this.#table
        .query()
        .fullTextSearch(new MatchQuery(words.join(' '), 'tokens'))
        .select(['_score'])
        .withRowId()
        .limit(limit)
      const where = among ? `_rowid IN (${among.join(', ')})` : filter
      if (where) query = query.where(where)
      const rows = await query.toArray().catch(failStore(this.#uri, 'search'))
      return new Map(rows.map((row) => [String(row._rowid), row._score * BM25_SCALE]))
    }
    // Some more than wanted, so that equals at the end are chosen by their place and not by chance.
    return ranked(await scoreWords(this.#analyse(question), limit + 10, search), limit)
  }

  async #dense(
    question: string,
    limit: number,
    { filter, exact = false }: { filter?: string | undefined; exact?: boolean } = {},
  ): Promise<Ranked[]> {
    const [vector] = await embedTexts(this.#embedder!, [question], 'question')
    let search = this.#table.query().nearestTo(vector!).column('vector').distanceType('dot')
    const partitions = partitionsOf(this.#settings.indexed?.chunks ?? 0)
    if (exact) search = search.bypassVectorIndex()
    else if (partitions > 0) search = search.nprobes(Math.ceil(partitions * PROBED))
    if (filter) search = search.where(filter)
    const rows = await search
      .select(['_distance'])
      .withRowId()
      .limit(limit)
      .toArray()
      .catch(failStore(this.#uri, 'search'))
    return ranked(
      rows.map((row) => ({ key: String(row._rowid), score: 1 - row._distance })),
      limit,
    )
  }

  async #read(ranking: readonly Ranked[], compared?: 'tokens' | 'vector'): Promise<Map<string, Candidate>> {
    const keys = [...new Set(ranking.map(({ key }) => key))]
    if (keys.length === 0) return new Map()
    const rows = await this.#table
      .takeRowIds(keys.map(BigInt))
      .select(compared ? [...COLUMNS, compared] : COLUMNS)
      .withRowId()
      .toArray()
      .catch(failStore(this.#uri, 'read passages'))
    return new Map(
      rows.map((row) => [
        String(row._rowid),
        {
          id: row.id,
          document: row.document,
          source: row.source,
          text: row.text,
          start: row.start,
          end: row.end,
          metadata: JSON.parse(row.metadata),
          words: row.tokens?.split(' '),
          vector: row.vector && Float32Array.from(row.vector),
        },
      ]),
    )
  }
}

/** Best first; equals in the order of the index. */
const ranked = (found: Ranked[], limit: number): Ranked[] =>
  found.sort((a, b) => b.score - a.score || (BigInt(a.key) < BigInt(b.key) ? -1 : 1)).slice(0, limit)

const fuse = (bm25: Ranked[], dense: Ranked[], fusion: Fusion) =>
  fusion.method === 'rrf' ? reciprocalRankFusion([bm25, dense], fusion.k) : convexFusion(bm25, dense, fusion.weight)

const placesOf = (ranking: readonly Ranked[]): Map<string, Placed> =>
  new Map(ranking.map(({ key, score }, i) => [key, { rank: i + 1, score }]))

function firstOfEach(order: readonly Ranked[], documentOf: (key: string) => string): Ranked[] {
  const seen = new Set<string>()
  return order.filter(({ key }) => {
    const document = documentOf(key)
    if (seen.has(document)) return false
    seen.add(document)
    return true
  })
}

async function reranked(
  question: string,
  order: readonly Ranked[],
  top: number,
  rerank: Reranker,
  read: ReadonlyMap<string, Candidate>,
): Promise<Ranked[]> {
  const head = order.slice(0, top)
  const scores = await rerank(
    question,
    head.map(({ key }) => read.get(key)!.text),
  )
  const again = head.map(({ key }, i) => ({ key, score: scores[i]! })).sort((a, b) => b.score - a.score)
  return [...again, ...order.slice(top)]
}

function diverse(order: Ranked[], read: ReadonlyMap<string, Candidate>, options: { count: number; lambda: number }) {
  const found = order.map(({ key }) => read.get(key)!)
  const similarity = (a: number, b: number) => {
    const [left, right] = [found[a]!, found[b]!]
    return left.vector && right.vector
      ? left.vector.reduce((sum, value, i) => sum + value * right.vector![i]!, 0)
      : wordCosine(left.words!, right.words!)
  }
  const scores = order.map(({ score }) => score)
  const [low, high] = [Math.min(...scores), Math.max(...scores)]
  const relevance = scores.map((score) => (high > low ? (score - low) / (high - low) : 1))
  return maximalMarginalRelevance(relevance, similarity, options).map((i) => order[i]!)
}
