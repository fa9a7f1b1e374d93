import type { Dataset } from './dataset'

/**
 * The result of a step that may take a while (`map`, `filter`): nothing runs until it is awaited or iterated, and then
 * once. Further steps can be chained before that: `await dataset.map(f).filter(g).shuffle(7)`.
 */
export class LazyDataset<R> implements PromiseLike<Dataset<R>>, AsyncIterable<R> {
  readonly #compute: () => Promise<Dataset<R>>
  #result: Promise<Dataset<R>> | undefined

  constructor(compute: () => Promise<Dataset<R>>) {
    this.#compute = compute
  }

  // biome-ignore lint/suspicious/noThenProperty: being awaited is what starts the work
  then<A = Dataset<R>, B = never>(
    resolve?: ((dataset: Dataset<R>) => A | PromiseLike<A>) | null,
    reject?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    this.#result ??= this.#compute()
    return this.#result.then(resolve, reject)
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<R> {
    yield* await this
  }

  /** Any other step, once the rows are there. */
  chain<S>(step: (dataset: Dataset<R>) => Dataset<S> | PromiseLike<Dataset<S>>): LazyDataset<S> {
    return new LazyDataset(async () => step(await this))
  }

  map: Dataset<R>['map'] = (...args: unknown[]) =>
    this.chain((dataset) => (dataset.map as (...args: unknown[]) => LazyDataset<never>)(...args))
  filter: Dataset<R>['filter'] = (...args) => this.chain((dataset) => dataset.filter(...args))

  select(...args: Parameters<Dataset<R>['select']>) {
    return this.chain((dataset) => dataset.select(...args))
  }
  take(...args: Parameters<Dataset<R>['take']>) {
    return this.chain((dataset) => dataset.take(...args))
  }
  skip(...args: Parameters<Dataset<R>['skip']>) {
    return this.chain((dataset) => dataset.skip(...args))
  }
  shuffle(...args: Parameters<Dataset<R>['shuffle']>) {
    return this.chain((dataset) => dataset.shuffle(...args))
  }
  sort(...args: Parameters<Dataset<R>['sort']>) {
    return this.chain((dataset) => dataset.sort(...args))
  }
  shard(...args: Parameters<Dataset<R>['shard']>) {
    return this.chain((dataset) => dataset.shard(...args))
  }
  renameColumns(...args: Parameters<Dataset<R>['renameColumns']>) {
    return this.chain((dataset) => dataset.renameColumns(...args))
  }
  removeColumns(...args: Parameters<Dataset<R>['removeColumns']>) {
    return this.chain((dataset) => dataset.removeColumns(...args))
  }
  selectColumns(...args: Parameters<Dataset<R>['selectColumns']>) {
    return this.chain((dataset) => dataset.selectColumns(...args))
  }
  cast(...args: Parameters<Dataset<R>['cast']>) {
    return this.chain((dataset) => dataset.cast(...args))
  }
}
