import { TunesmithError } from '@tunesmith/core'
import type { Reranker } from '../search/search'
import type { Embedder } from './embedder'
import { importPeer } from './import-peer'

interface Output {
  dims: number[]
  data: ArrayLike<number>
}
type Tokenizer = (texts: string[], options: object) => object
type Classifier = ((inputs: object) => Promise<{ logits: Output }>) & {
  sessions: { model: { inputNames: readonly string[] } }
}
interface Transformers {
  pipeline(task: string, model: string, options: object): Promise<(texts: string[], options: object) => Promise<Output>>
  AutoTokenizer: { from_pretrained(model: string): Promise<Tokenizer> }
  AutoModelForSequenceClassification: {
    from_pretrained(model: string, options: object): Promise<Classifier>
  }
}

/** A name that no bundler follows: the package comes with 300 MB of runtimes, so only who uses it has it. */
const PACKAGE: string = '@huggingface/transformers'
const transformers = (what: string) => importPeer<Transformers>(() => import(PACKAGE), what, PACKAGE)

/** @throws {TunesmithError} `not_found`, naming the model. */
async function load<Loaded>(model: string, loading: Promise<Loaded>): Promise<Loaded> {
  return loading.catch((cause: Error) => {
    throw new TunesmithError(`The model cannot be loaded: ${cause.message}`, {
      code: 'not_found',
      where: model,
      remedy: 'Name a folder or a model of the Hub that has ONNX weights; the Hub needs a network',
      cause,
    })
  })
}

export interface OnnxOptions {
  /** How the tokens' vectors become one; see the model's card. Default `mean`. */
  pooling?: 'mean' | 'cls' | 'last_token'
  /** Put before questions and passages, as E5 (`query: `, `passage: `) and others want it. Default nothing. */
  prefixes?: { question?: string; passage?: string }
  /** Precision of the weights, such as `fp32` or `q8`. Default `fp32`. */
  dtype?: string
}

/**
 * A sentence embedding model in ONNX, by its Hub id or folder, run by `@huggingface/transformers`, which the user installs.
 *
 * @throws {TunesmithError} `not_found` when the package is not installed, or the model cannot be loaded.
 */
export async function onnxEmbedder(model: string, options: OnnxOptions = {}): Promise<Embedder> {
  const { pooling = 'mean', prefixes = {}, dtype = 'fp32' } = options
  const { pipeline } = await transformers('An ONNX embedder')
  const extract = await load(model, pipeline('feature-extraction', model, { dtype }))
  const embed: Embedder['embed'] = async (texts, kind) => {
    const prefix = prefixes[kind] ?? ''
    const { dims, data } = await extract(
      texts.map((text) => prefix + text),
      { pooling, normalize: true },
    )
    const size = dims.at(-1)!
    return texts.map((_, i) => Float32Array.from({ length: size }, (__, j) => data[i * size + j]!))
  }
  const [probe] = await embed(['probe'], 'passage')
  const prefixed = prefixes.question || prefixes.passage ? `, ${JSON.stringify(prefixes)}` : ''
  return { name: `onnx:${model} (${pooling}, ${dtype}${prefixed})`, dimensions: probe!.length, embed }
}

/**
 * A cross-encoder in ONNX that reads question and passage together; needs `@huggingface/transformers`.
 *
 * @throws {TunesmithError} `not_found` when the package is not installed, or the model cannot be loaded.
 */
export async function crossEncoder(model: string, { dtype = 'fp32' }: { dtype?: string } = {}): Promise<Reranker> {
  const { AutoTokenizer, AutoModelForSequenceClassification } = await transformers('A cross-encoder')
  const tokenizer = await load(model, AutoTokenizer.from_pretrained(model))
  const score = await load(model, AutoModelForSequenceClassification.from_pretrained(model, { dtype }))
  // Not every tokenizer's file says so, and without them the passage would be read as part of the question.
  const types = score.sessions.model.inputNames.includes('token_type_ids')
  return async (question, texts) => {
    if (texts.length === 0) return []
    const { logits } = await score(
      tokenizer(
        texts.map(() => question),
        { text_pair: [...texts], padding: true, truncation: true, ...(types && { return_token_type_ids: true }) },
      ),
    )
    // The last class is the one that says "relevant"; most have just one.
    const classes = logits.dims.at(-1)!
    return texts.map((_, i) => logits.data[i * classes + classes - 1]!)
  }
}
