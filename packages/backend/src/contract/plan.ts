import { type NamedTensorInfoMap, Tensor, type TensorInfo, util } from '@tensorflow/tfjs-core'
import { invalidData } from '@tunesmith/core'
import { KERNELS, type KernelName } from './kernels'
import type { Attribute, Entry, Input, Kernel, Output, Size } from './spec'

type Attrs = Record<string, unknown>
interface When<Spec> {
  name: string
  spec: Spec | ((attrs: never) => Spec | undefined)
}

/** What a backend computes with for an input, e.g. a typed array or a handle. */
export type Hand = (x: TensorInfo, spec: Input | Entry) => unknown
/** Makes an output: the tensor, and what the backend computes with for it. */
export type Make = (shape: number[], output: Output) => { info: TensorInfo; value: unknown }

/** One call that fits its contract. */
export interface PlannedCall {
  /** With defaults in the place of what was left out. */
  attrs: Attrs
  /** Of {@link KernelPlan.fields}; null for a tensor or size that is not there. Those of outputs come with them. */
  values: unknown[]
}

const listed = <Spec>(specs: Record<string, When<Spec>['spec']>): When<Spec>[] =>
  Object.entries(specs).map(([name, spec]) => ({ name, spec }))

const given = <Spec>({ spec }: When<Spec>, attrs: Attrs): Spec | undefined =>
  typeof spec === 'function' ? (spec as (attrs: Attrs) => Spec | undefined)(attrs) : spec

function isShape(shape: readonly number[], wanted: readonly number[]): boolean {
  let same = shape === wanted || shape.length === wanted.length
  for (let i = 0; same && i < wanted.length; i++) same = shape[i] === wanted[i]
  return same
}

/** The entry of a kernel in the table, made ready to check calls. */
export class KernelPlan {
  /** Named sizes, attributes, inputs, then outputs. With host indices, `idsHost` follows `ids`. */
  readonly fields: readonly string[]
  /** Of each entry of a list: the number of elements of its first tensor, then the tensors. Empty when there is no list. */
  readonly entryFields: readonly string[]
  readonly #kernel: Kernel
  readonly #sizes: number
  readonly #attributes: { name: string; attribute: Attribute }[]
  readonly #inputs: When<Input>[]
  readonly #outputs: When<Output>[]
  readonly #entries: [name: string, entry: Entry][]
  readonly #places: ReadonlyMap<string, number>
  /** Shapes as numbers: a size, or -1 - place of a size's value; functions stay. */
  readonly #dimensions = new Map<readonly Size[], readonly (number | ((attrs: Attrs) => number))[]>()
  /** The values of a call before anything is known. */
  readonly #blank: readonly null[]

  /** @param hostIndices whether the addon gets the values of indices on the host beside the tensors. */
  constructor(
    readonly name: KernelName,
    readonly hostIndices = false,
  ) {
    const kernel: Kernel = KERNELS[name]
    this.#kernel = kernel
    this.#attributes = Object.entries(kernel.attrs).map(([name, attribute]) => ({ name, attribute }))
    this.#inputs = listed<Input>(kernel.inputs)
    this.#outputs = listed<Output>(kernel.outputs)
    this.#entries = Object.entries(kernel.entries ?? {})
    const shapes = this.#inputs.flatMap(({ spec }) => (typeof spec === 'function' ? [] : spec.shape))
    const sizes = new Set(shapes.filter((size) => typeof size === 'string' && !(size in kernel.attrs)) as string[])
    const inputs = this.#inputs.flatMap(({ name, spec }) =>
      hostIndices && 'role' in spec && spec.role === 'indices' ? [name, `${name}Host`] : [name],
    )
    this.#sizes = sizes.size
    this.fields = [...sizes, ...Object.keys(kernel.attrs), ...inputs, ...Object.keys(kernel.outputs)]
    this.entryFields = kernel.entries ? ['size', ...Object.keys(kernel.entries)] : []
    this.#places = new Map(this.fields.map((name, i) => [name, i]))
    this.#blank = this.fields.map(() => null)
  }

  fail(problem: string): never {
    throw invalidData(`${this.name}: ${problem}`, { where: this.name })
  }

  /**
   * Checks the inputs and attributes of a call.
   *
   * @throws {TunesmithError} `invalid_data` with the kernel and the input or attribute.
   */
  read(inputs: NamedTensorInfoMap, attrs: object, hand: Hand, handIndices?: (x: TensorInfo) => unknown): PlannedCall {
    const values: unknown[] = this.#blank.slice()
    const complete = this.#readAttributes(attrs as Attrs, values)
    let place = this.#sizes + this.#attributes.length
    for (let i = 0; i < this.#inputs.length; i++) {
      const { name } = this.#inputs[i]!
      const input = given(this.#inputs[i]!, complete)
      const x = inputs[name]
      const host = this.hostIndices && input?.role === 'indices'
      if (input && (x || !input.optional)) {
        if (!x) this.fail(`input "${name}" is missing`)
        this.#checkShape(name, x, input, complete, values)
        values[place] = hand(x, input)
        if (host) values[place + 1] = handIndices!(x)
      }
      place += host ? 2 : 1
    }
    if (this.#kernel.check) {
      const problem = this.#kernel.check(complete as never, (size) => values[this.#places.get(size)!] as number)
      if (problem) this.fail(problem)
    }
    return { attrs: complete, values }
  }

  /** {@link read} for a backend that computes with the tensors themselves; looks at the values of indices too. */
  check(inputs: NamedTensorInfoMap, attrs: object): Attrs {
    const { attrs: complete } = this.read(inputs, attrs, (x) => x)
    if (this.#entries.length > 0) this.entries(inputs, (x) => x)
    const problem = this.#kernel.checkIndices?.(inputs as never, complete as never)
    if (problem) this.fail(problem)
    return complete
  }

  /** Makes the outputs of a call and puts them among its values; returns what the kernel does. */
  outputs({ attrs, values }: PlannedCall, make: Make): TensorInfo | TensorInfo[] {
    const first = this.fields.length - this.#outputs.length
    const infos: TensorInfo[] = []
    for (let i = 0; i < this.#outputs.length; i++) {
      const output = given(this.#outputs[i]!, attrs)
      if (!output) {
        infos.push(make([0], { kind: 'float32', shape: [0] }).info)
        continue
      }
      const shape = this.#sizesOf(output.shape, attrs, values)
      const { info, value } = make(shape, output)
      values[first + i] = value
      infos.push(info)
    }
    return infos.length === 1 ? infos[0]! : infos
  }

  /** The values of {@link entryFields} for each entry of the list. */
  entries(inputs: NamedTensorInfoMap, hand: Hand): unknown[][] {
    const list: unknown[][] = []
    const [first] = this.#entries[0]!
    for (let x = inputs[`${first}0`]; x; x = inputs[`${first}${list.length}`]) {
      const size = util.sizeFromShape(x.shape)
      const values: unknown[] = [size]
      for (const [entryName, entry] of this.#entries) {
        const name = `${entryName}${list.length}`
        const tensor = inputs[name] ?? this.fail(`input "${name}" is missing`)
        const shape = entry.shape === 'alike' ? x.shape : [entry.shape(size)]
        this.#checkAlive(name, tensor)
        if (tensor.dtype !== entry.dtype || !isShape(tensor.shape, shape))
          this.#refuse(name, tensor, entry.dtype, shape)
        values.push(hand(tensor, entry))
      }
      list.push(values)
    }
    // A tensor that is missing from the first place of an entry would end the list before its time.
    const later = Object.keys(inputs).find(
      (name) => name.startsWith(first) && Number(name.slice(first.length)) >= list.length,
    )
    if (later) this.fail(`input "${first}${list.length}" is missing`)
    return list
  }

  #readAttributes(attrs: Attrs, values: unknown[]): Attrs {
    let complete = attrs
    let place = this.#sizes
    for (let i = 0; i < this.#attributes.length; i++) {
      const { name, attribute } = this.#attributes[i]!
      let value = attrs[name]
      if (value === undefined) {
        value = attribute.default ?? this.fail(`attribute "${name}" is missing`)
        if (complete === attrs) complete = { ...attrs }
        complete[name] = value
      }
      const { kind, names, what = name, rule } = attribute
      if (kind === 'name') {
        const code = names!.indexOf(value as string)
        if (code < 0) this.fail(`unknown ${what} "${value}"; known: ${names!.join(', ')}`)
        value = code
      } else if (typeof value !== kind) this.fail(`${name} must be a ${kind}, not ${value}`)
      if (rule && !rule[1](value as number)) this.fail(`${name} ${rule[0]}, got ${value}`)
      values[place++] = value
    }
    return complete
  }

  #compiled(shape: readonly Size[]): readonly (number | ((attrs: Attrs) => number))[] {
    let dimensions = this.#dimensions.get(shape)
    if (!dimensions) {
      dimensions = shape.map((size) =>
        typeof size === 'string' ? -1 - this.#places.get(size)! : (size as number | ((attrs: Attrs) => number)),
      )
      this.#dimensions.set(shape, dimensions)
    }
    return dimensions
  }

  #sizesOf(shape: readonly Size[], attrs: Attrs, values: unknown[]): number[] {
    const sizes: number[] = []
    for (const size of this.#compiled(shape))
      sizes.push(typeof size !== 'number' ? size(attrs) : size < 0 ? (values[-1 - size] as number) : size)
    return sizes
  }

  #checkShape(name: string, x: TensorInfo, { dtype, shape }: Input, attrs: Attrs, values: unknown[]): void {
    this.#checkAlive(name, x)
    if (x.dtype !== dtype) this.fail(`"${name}" must be ${dtype}, not ${x.dtype}`)
    const dimensions = this.#compiled(shape)
    let fits = x.shape.length === dimensions.length
    for (let i = 0; fits && i < dimensions.length; i++) {
      const size = dimensions[i]!
      const given = x.shape[i]!
      if (typeof size !== 'number') fits = size(attrs) === given
      else if (size >= 0) fits = size === given
      else if (values[-1 - size] === null) values[-1 - size] = given
      else fits = values[-1 - size] === given
    }
    if (!fits)
      this.#refuse(
        name,
        x,
        dtype,
        this.#sizesOf(shape, attrs, values).map((size, i) => size ?? shape[i]),
      )
  }

  #checkAlive(name: string, x: TensorInfo): void {
    if (x instanceof Tensor && x.isDisposed)
      throw invalidData(`${this.name}: "${name}" is a tensor that was disposed of`, {
        where: this.name,
        remedy: 'Keep it with tf.keep, or dispose of it later: tf.tidy disposes of what is made in it and not returned',
      })
  }

  #refuse(name: string, { dtype, shape }: TensorInfo, wanted: string, sizes: unknown[]): never {
    this.fail(`"${name}" must have shape ${wanted} [${sizes.join(', ')}], not ${dtype} [${shape.join(', ')}]`)
  }
}
