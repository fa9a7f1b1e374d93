import { Command, InvalidArgumentError, Option } from '@commander-js/extra-typings'
import { nearestName, plainText } from '@tunesmith/core'
import { createIndex, embedderNamed, MASKS, type MaskPattern, readDocuments } from '@tunesmith/retrieval'
import { count, number } from './numbers'

const list = (text: string): string[] => text.split(',').map((name) => name.trim())

function masks(text: string): MaskPattern[] {
  return list(text).map((name) => {
    if (Object.hasOwn(MASKS, name)) return MASKS[name as keyof typeof MASKS]
    const nearest = nearestName(name, Object.keys(MASKS))
    throw new InvalidArgumentError(
      `"${name}" cannot be masked.${nearest ? ` Did you mean "${nearest}"?` : ''} They are ${Object.keys(MASKS).join(', ')}.`,
    )
  })
}

const command = () =>
  new Command('index')
    .description('make documents searchable, or bring an index up to date; what did not change is not read again')
    .argument('<sources...>', 'files, folders and patterns: text, Markdown, HTML, PDF, and rows in JSON, CSV, Parquet')
    .requiredOption('--out <folder>', 'the index: a folder, or an address like s3://bucket/path')
    .option('--embedder <name>', 'for dense and hybrid search: sentence-encoder, or onnx:MODEL')
    .option('--glob <pattern>', 'which files of a folder, like **/*.md')
    .option('--text-column <name>', 'where the text of rows is')
    .option('--id-column <name>', 'where the id of rows is')
    .option('--metadata <columns>', 'columns of rows to keep, with commas between', list)
    .option('--max-tokens <n>', 'longest chunk, in words and marks', count, 256)
    .option('--overlap <n>', 'what a chunk repeats of the one before it', number, 32)
    .option('--language <tag>', 'of the documents', 'en')
    .option('--stem', 'find words by their stems; English')
    .option('--mask <kinds>', `mask before indexing, of ${Object.keys(MASKS).join(', ')}`, masks)
    .option('--prune', 'remove documents that the sources no longer have')
    .option('--skip-errors', 'leave documents out that cannot be read, and say which')
    .addOption(new Option('--json', 'print what was done as JSON on the last line'))
type IndexOptions = ReturnType<ReturnType<typeof command>['opts']>

async function run(sources: string[], options: IndexOptions): Promise<void> {
  const embedder = options.embedder === undefined ? undefined : await embedderNamed(options.embedder)
  const index = await createIndex(options.out, {
    embedder,
    analyser: { language: options.language, stem: options.stem === true },
    chunk: { maxTokens: options.maxTokens, overlap: options.overlap },
  })
  const documents = readDocuments(sources, {
    glob: options.glob,
    textColumn: options.textColumn,
    idColumn: options.idColumn,
    metadataColumns: options.metadata ?? [],
    onError: options.skipErrors ? 'skip' : 'error',
    onSkip: (message) => console.warn(plainText(`left out: ${message}`)),
  })
  const report = await index.add(documents, {
    prune: options.prune === true,
    mask: options.mask ?? [],
    onCommit: ({ documents: done, chunks }) => console.warn(`committed: ${done} documents, ${chunks} chunks`),
  })
  const { added, updated, unchanged, removed, duplicates, empty, masked } = report
  console.log(`${added} added, ${updated} changed, ${unchanged} unchanged, ${removed} removed`)
  if (duplicates.length > 0) console.log(`${duplicates.length} left out, since another document has the same text`)
  if (empty.length > 0) console.log(plainText(`${empty.length} without a word: ${empty.slice(0, 5).join(', ')}`))
  if (masked) {
    const kinds = Object.entries(masked.counts).map(([kind, n]) => `${n} of kind ${kind}`)
    console.log(`masked in ${masked.documents} documents: ${kinds.join(', ') || 'nothing'}`)
  }
  console.log(plainText(`${options.out}: ${index.size.documents} documents in ${index.size.chunks} chunks`))
  if (options.json) console.log(JSON.stringify({ ...report, ...index.size }))
  index.close()
}

export const indexCommand = () => command().action(run)
