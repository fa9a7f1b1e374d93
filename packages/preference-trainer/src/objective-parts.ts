import type { ForwardOptions } from '@tunesmith/models'
import type { LossMetrics, MicroSums } from '@tunesmith/sft-trainer'
import type { DPOConfig } from './config'

/** How the model is run: with dropout in training where it is wanted, and with what saves memory. */
export function modelOptions({
  disableDropout,
  gradientCheckpointing,
  activationOffloading,
}: Pick<DPOConfig, 'disableDropout' | 'gradientCheckpointing' | 'activationOffloading'>) {
  const options: ForwardOptions = { gradientCheckpointing, activationOffloading, sharePrefixes: true }
  return (seed?: number): ForwardOptions =>
    seed === undefined || disableDropout ? options : { ...options, training: true, seed }
}

const mean = (values: readonly number[]) => {
  const known = values.filter((value) => !Number.isNaN(value))
  return known.reduce((sum, value) => sum + value, 0) / known.length
}

/** As in TRL: metrics are means over batches, and the loss is one that weighs each batch by its rows. */
export function meanEvaluation(batches: readonly { sums: MicroSums; rows: number }[]): LossMetrics {
  const rows = batches.reduce((sum, batch) => sum + batch.rows, 0)
  const evalLoss = batches.reduce((sum, batch) => sum + (batch.sums.loss / batch.sums.items) * batch.rows, 0) / rows
  const names = Object.keys(batches[0]?.sums.totals ?? {})
  const means = Object.fromEntries(names.map((name) => [name, mean(batches.map(({ sums }) => sums.totals[name]!))]))
  const { meanTokenAccuracy, entropy, nllLoss, ...others } = means
  return {
    evalLoss,
    evalPerplexity: Math.exp(nllLoss ?? Number.NaN),
    evalMeanTokenAccuracy: meanTokenAccuracy ?? Number.NaN,
    evalEntropy: entropy ?? Number.NaN,
    evalLossOfBatches: evalLoss,
    ...Object.fromEntries(
      Object.entries({ ...others, nllLoss: nllLoss ?? Number.NaN }).map(([name, value]) => [
        `eval${name[0]!.toUpperCase()}${name.slice(1)}`,
        value,
      ]),
    ),
  }
}
