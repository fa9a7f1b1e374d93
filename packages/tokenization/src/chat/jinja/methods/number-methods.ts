import { TemplateFault } from '../values/fault'
import { Float } from '../values/float'
import { normalInt, Tuple, type Value } from '../values/value'
import { type Method, method } from './method'
import { unsupported } from './unsupported-methods'

type Int = number | bigint

const magnitude = (value: Int) => {
  const large = BigInt(value)
  return (large < 0n ? -large : large).toString(2)
}

export const INT_METHODS: Record<string, Method<Int>> = {
  bit_count: method('/', (self) => magnitude(self).replaceAll('0', '').length),
  bit_length: method('/', (self) => (BigInt(self) === 0n ? 0 : magnitude(self).length)),
  as_integer_ratio: method('/', (self) => new Tuple([self, 1])),
  conjugate: method('/', (self) => self),
  to_bytes: method('length? byteorder? signed?', unsupported('to_bytes')),
  from_bytes: method('bytes byteorder? signed?', unsupported('from_bytes')),
}

/** What an int has as a number. */
export const INT_FIELDS: Record<string, (self: Int) => Value> = {
  real: (self) => self,
  imag: () => 0,
  numerator: (self) => self,
  denominator: () => 1,
}

export const FLOAT_METHODS: Record<string, Method<Float>> = {
  is_integer: method('/', (self) => Number.isInteger(+self)),
  as_integer_ratio: method('/', (self) => floatRatio(+self)),
  conjugate: method('/', (self) => self),
  hex: method('/', unsupported('hex')),
  fromhex: method('/text', unsupported('fromhex')),
}

export const FLOAT_FIELDS: Record<string, (self: Float) => Value> = {
  real: (self) => self,
  imag: () => new Float(0),
}

/** The fraction in lowest terms that a float is exactly. */
function floatRatio(value: number): Tuple {
  if (!Number.isFinite(value)) throw new TemplateFault('cannot convert infinity or NaN to integer ratio')
  let [top, bottom] = [value, 1n]
  while (!Number.isInteger(top)) {
    top *= 2
    bottom *= 2n
  }
  return new Tuple([normalInt(BigInt(top)), normalInt(bottom)])
}
