import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Command, Option } from '@commander-js/extra-typings'
import { selectBackend } from '@tunesmith/backend'
import {
  checkOutputFolder,
  createProgress,
  failAs,
  statRegularFile,
  writeFileAtomic,
  writeOutputFolder,
} from '@tunesmith/core'
import { resolveModelFolder } from '@tunesmith/hub'
import { plotErrors, quantizeCheckpoint, reportToMarkdown } from '@tunesmith/quantization'
import { findModel, readModel } from '../run/load'
import { textPerplexity } from '../run/text-perplexity'
import { count } from './numbers'
import { overwriteOption } from './shared-options'

const command = () =>
  new Command('quantize')
    .description("quantize a checkpoint into bitsandbytes' layout, and report what is lost")
    .argument('<model>', 'a model folder or a Hub id')
    .addOption(
      new Option('--to <format>', 'storage of the linear weights')
        .choices(['nf4', 'fp4', 'int8'] as const)
        .default('nf4' as const),
    )
    .requiredOption('--out <folder>', 'where the quantized model goes')
    .addOption(overwriteOption())
    .option('--double-quant', 'quantize the 4-bit scales too')
    .option('--block-size <n>', 'elements per 4-bit scale', count)
    .option('--text <file>', 'measure perplexity on this text, before and after')
type QuantizeOptions = ReturnType<ReturnType<typeof command>['opts']>

async function perplexityOf(path: string, text: string): Promise<number> {
  const { model, tokenizer } = await readModel(await findModel(path))
  const perplexity = textPerplexity(model, tokenizer, text)
  model.dispose()
  return perplexity
}

async function run(name: string, { to, out, doubleQuant, blockSize, text, overwrite }: QuantizeOptions): Promise<void> {
  const model = await resolveModelFolder(name)
  const output = { overwrite, sources: [model, ...(text ? [text] : [])] }
  await checkOutputFolder(out, output)
  if (text) await statRegularFile(text)
  let bar: ReturnType<typeof createProgress> | undefined
  const lines: string[] = []
  await writeOutputFolder(out, output, async (folder) => {
    const report = await quantizeCheckpoint({
      model,
      out: folder,
      config:
        to === 'int8'
          ? { loadIn8bit: true }
          : { loadIn4bit: true, bnb4bitQuantType: to, bnb4bitUseDoubleQuant: doubleQuant === true },
      ...(blockSize && { blocksize: blockSize }),
      onProgress: ({ done, total, name }) => {
        bar ??= createProgress({ label: 'quantize', total })
        bar.update(done, name)
      },
    })
    bar?.finish('done')
    lines.push(reportToMarkdown(report))
    if (text) {
      await selectBackend()
      const content = await readFile(text, 'utf8').catch(failAs(text, 'read'))
      const [before, after] = [await perplexityOf(model, content), await perplexityOf(folder, content)]
      lines.push(`perplexity of ${text}: ${before.toFixed(4)} before, ${after.toFixed(4)} after\n`)
    }
    await writeFileAtomic(join(folder, 'quantization.md'), lines.join('\n'))
    await writeFileAtomic(join(folder, 'quantization.svg'), plotErrors(report))
  })
  console.log(lines.join('\n'))
  console.log(`written to ${out}, with the report as quantization.md and quantization.svg`)
}

export const quantizeCommand = () => command().action(run)
