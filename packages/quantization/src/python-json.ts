/**
 * A number as Python's `repr(float)` prints it: the shortest digits that read back the same, exponents from 1e16 up and
 * below 1e-4 with at least two digits.
 */
export function pythonFloat(x: number): string {
  if (Number.isNaN(x)) return 'NaN'
  if (!Number.isFinite(x)) return x > 0 ? 'Infinity' : '-Infinity'
  if (x === 0) return Object.is(x, -0) ? '-0.0' : '0.0'
  const [mantissa, exponentText] = x.toExponential().split('e') as [string, string]
  const exponent = Number(exponentText)
  if (exponent < -4 || exponent >= 16)
    return `${mantissa}e${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`
  const plain = exponent < 0 ? x.toFixed(mantissa.replace(/[-.]/g, '').length - 1 - exponent) : String(x)
  return plain.includes('.') ? plain : `${plain}.0`
}
