import type { BlockMath } from './math'

export type ScaleSearch = ReturnType<typeof createScaleSearch>

/**
 * Searches for the scale of `n` elements of a block, `from` on, that loses least: ggml tries neighbouring scales, and so does this, in the same
 * order. The codes go to the same places.
 */
export function createScaleSearch({ nearest, clamp }: BlockMath) {
  const f = Math.fround
  const TINY = f(1e-15)
  const TENTH = f(0.1)
  const tried = new Uint8Array(32)

  return {
    /** The minimum of the last {@link withMinimum}, negated. */
    minimum: 0,

    /**
     * Codes 0 .. `top` for `scale * code - minimum`, by weighted least squares of the codes that each of `steps` + 1 scales gives; `first` and `by`
     * tell how far beyond `top` those scales reach.
     */
    withMinimum(
      x: Float32Array,
      from: number,
      n: number,
      weights: Float32Array,
      codes: Uint8Array,
      { top, first, by, steps, absolute }: { top: number; first: number; by: number; steps: number; absolute: boolean },
    ): number {
      let min = x[from]!
      let max = min
      let sumW = weights[0]!
      let sumX = f(sumW * min)
      for (let i = 1; i < n; i++) {
        const value = x[from + i]!
        if (value < min) min = value
        if (value > max) max = value
        sumW = f(sumW + weights[i]!)
        sumX = f(sumX + f(weights[i]! * value))
      }
      if (min > 0) min = 0
      if (max === min) {
        codes.fill(0, from, from + n)
        this.minimum = -min
        return 0
      }
      let inverse = f(top / f(max - min))
      let scale = f(1 / inverse)
      let least = 0
      for (let i = 0; i < n; i++) {
        const value = x[from + i]!
        const code = clamp(nearest(f(inverse * f(value - min))), 0, top)
        codes[from + i] = code
        const off = f(f(f(scale * code) + min) - value)
        least = f(least + f(weights[i]! * (absolute ? Math.abs(off) : f(off * off))))
      }
      for (let step = 0; step <= steps; step++) {
        inverse = f(f(f(first + f(by * step)) + top) / f(max - min))
        let sumL = 0
        let sumL2 = 0
        let sumXL = 0
        for (let i = 0; i < n; i++) {
          const value = x[from + i]!
          const code = clamp(nearest(f(inverse * f(value - min))), 0, top)
          tried[i] = code
          const weighted = f(weights[i]! * code)
          sumL = f(sumL + weighted)
          sumL2 = f(sumL2 + f(weighted * code))
          sumXL = f(sumXL + f(weighted * value))
        }
        const determinant = f(f(sumW * sumL2) - f(sumL * sumL))
        if (!(determinant > 0)) continue
        let newScale = f(f(f(sumW * sumXL) - f(sumX * sumL)) / determinant)
        let newMin = f(f(f(sumL2 * sumX) - f(sumL * sumXL)) / determinant)
        if (newMin > 0) {
          newMin = 0
          newScale = f(sumXL / sumL2)
        }
        let error = 0
        for (let i = 0; i < n; i++) {
          const off = f(f(f(newScale * tried[i]!) + newMin) - x[from + i]!)
          error = f(error + f(weights[i]! * (absolute ? Math.abs(off) : f(off * off))))
        }
        if (error < least) {
          for (let i = 0; i < n; i++) codes[from + i] = tried[i]!
          least = error
          scale = newScale
          min = newMin
        }
      }
      this.minimum = -min
      return scale
    },

    /** Codes 0 .. 2 `half` - 1 for `scale * (code - half)`, weighted by squares of the elements, the best of 19 scales. */
    symmetric(x: Float32Array, from: number, n: number, half: number, codes: Uint8Array): number {
      let extreme = 0
      for (let i = 0; i < n; i++) if (Math.abs(x[from + i]!) > Math.abs(extreme)) extreme = x[from + i]!
      if (Math.abs(extreme) < TINY) {
        codes.fill(0, from, from + n)
        return 0
      }
      let scale = 0
      let best = 0
      for (let step = -10; step <= 9; step++) {
        // The plain scale goes first, and is always taken.
        const shift = step === -10 ? 0 : step
        if (step === 0) continue
        const inverse = f(-f(half + f(TENTH * shift)) / extreme)
        let sumXL = 0
        let sumL2 = 0
        for (let i = 0; i < n; i++) {
          const value = x[from + i]!
          const code = clamp(nearest(f(inverse * value)), -half, half - 1)
          const weight = f(value * value)
          sumXL = f(sumXL + f(f(weight * value) * code))
          sumL2 = f(sumL2 + f(f(weight * code) * code))
        }
        if (step === -10 ? true : sumL2 > 0 && f(sumXL * sumXL) > f(best * sumL2)) {
          for (let i = 0; i < n; i++)
            codes[from + i] = half + clamp(nearest(f(inverse * x[from + i]!)), -half, half - 1)
          scale = sumL2 === 0 ? 0 : f(sumXL / sumL2)
          best = f(scale * sumXL)
        }
      }
      return scale
    },

    /** As {@link symmetric}, but from the plain scale on by changing one code at a time, in up to five rounds. */
    refined(x: Float32Array, from: number, n: number, half: number, codes: Uint8Array): number {
      let extreme = 0
      for (let i = 0; i < n; i++) if (Math.abs(x[from + i]!) > Math.abs(extreme)) extreme = x[from + i]!
      if (Math.abs(extreme) < TINY) {
        codes.fill(0, from, from + n)
        return 0
      }
      const inverse = f(-half / extreme)
      let sumXL = 0
      let sumL2 = 0
      for (let i = 0; i < n; i++) {
        const value = x[from + i]!
        const code = clamp(nearest(f(inverse * value)), -half, half - 1)
        codes[from + i] = code + half
        const weight = f(value * value)
        sumXL = f(sumXL + f(f(weight * value) * code))
        sumL2 = f(sumL2 + f(f(weight * code) * code))
      }
      for (let round = 0; round < 5; round++) {
        let changed = false
        for (let i = 0; i < n; i++) {
          const value = x[from + i]!
          const weight = f(value * value)
          const code = codes[from + i]! - half
          let withoutXL = f(sumXL - f(f(weight * value) * code))
          if (!(withoutXL > 0)) continue
          let withoutL2 = f(sumL2 - f(f(weight * code) * code))
          const other = clamp(nearest(f(f(value * withoutL2) / withoutXL)), -half, half - 1)
          if (other === code) continue
          withoutXL = f(withoutXL + f(f(weight * value) * other))
          withoutL2 = f(withoutL2 + f(f(weight * other) * other))
          if (withoutL2 > 0 && f(f(withoutXL * withoutXL) * sumL2) > f(f(sumXL * sumXL) * withoutL2)) {
            codes[from + i] = other + half
            sumXL = withoutXL
            sumL2 = withoutL2
            changed = true
          }
        }
        if (!changed) break
      }
      return sumL2 > 0 ? f(sumXL / sumL2) : 0
    },
  }
}
