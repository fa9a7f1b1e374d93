import { embedderNamed, openIndex, type RetrievalIndex, type SearchMode } from '@tunesmith/retrieval'

/** An index with the embedder that made it, unless it is searched by words alone. */
export async function openNamedIndex(place: string, mode?: SearchMode): Promise<RetrievalIndex> {
  const index = await openIndex(place)
  const { embedder } = index.settings
  if (mode === 'bm25' || !embedder) return index
  index.close()
  return openIndex(place, { embedder: await embedderNamed(embedder.name) })
}
