import { basename, join, resolve } from 'node:path'
import { Command, Option } from '@commander-js/extra-typings'
import { selectBackend } from '@tunesmith/backend'
import { checkOutputFolder, invalidOptions, plainText, writeOutputFolder } from '@tunesmith/core'
import { exportGguf, GGUF_FILE_TYPES, type SavePretrainedOptions, savePretrained } from '@tunesmith/models'
import { exportPeftGguf } from '@tunesmith/peft-lora'
import { findModel, in4bit, readModel, sourcesOf } from '../run/load'
import { cardOf } from '../run/model-card'
import { baseOption, in4bitOption, overwriteOption } from './shared-options'

const DTYPES = { f32: 'float32', f16: 'float16', bf16: 'bfloat16' } as const

const command = () =>
  new Command('export')
    .description(
      'write a model, with its adapter merged, for other programs: GGUF for llama.cpp and Ollama, or safetensors',
    )
    .argument('<model>', 'a folder of a model or an adapter, or a Hub id')
    .addOption(
      new Option('--to <format>', 'kind of file; gguf-lora is the adapter alone, for llama.cpp and Ollama')
        .choices(['gguf', 'gguf-lora', 'safetensors'] as const)
        .default('gguf' as const),
    )
    .requiredOption('--out <folder>', 'where it goes')
    .option('--adapter <adapter>', 'adapter to merge into the model, a folder or a Hub id')
    .addOption(baseOption())
    .addOption(in4bitOption())
    .addOption(overwriteOption())
    .addOption(
      new Option('--type <type>', 'storage of the weights; default f16 in GGUF, in safetensors as they are').choices(
        GGUF_FILE_TYPES,
      ),
    )
    .option('--name <name>', "the model's name in the GGUF file")
    .option(
      '--pre-tokenizer <name>',
      "llama.cpp's name of how text is cut into words, when the tokenizer's own way has none",
    )
    .option('--max-shard-size <size>', 'largest safetensors file, like 2GB')
type ExportOptions = ReturnType<ReturnType<typeof command>['opts']>

async function run(path: string, options: ExportOptions): Promise<void> {
  const { to, out, type, name, preTokenizer, maxShardSize } = options
  const dtype: SavePretrainedOptions['dtype'] = type === undefined ? 'auto' : DTYPES[type as keyof typeof DTYPES]
  if (to === 'safetensors' && dtype === undefined)
    throw invalidOptions(`safetensors are written as ${Object.keys(DTYPES).join(', ')}, not ${type}`, {
      where: '--type',
      remedy: 'Choose one of these, use --to gguf, or `tunesmith quantize` for 4 bits in safetensors',
    })
  const found = await findModel(path, options)
  if (to === 'gguf-lora' && found.adapter === undefined)
    throw invalidOptions('This is a whole model, and --to gguf-lora writes an adapter', {
      where: path,
      remedy: 'Name an adapter, or use --to gguf',
    })
  if (to === 'gguf-lora' && type !== undefined)
    throw invalidOptions('Adapters are written in float32', { where: '--type', remedy: 'Leave --type out' })
  const output = { overwrite: options.overwrite, sources: sourcesOf(found) }
  await checkOutputFolder(out, output)
  await selectBackend()
  const { model, peft, tokenizer } = await readModel(found, in4bit(options.loadIn4bit))
  if (to === 'gguf-lora') {
    const base = `./${basename(resolve(found.baseFolder))}.f16.gguf`
    const { file } = await writeOutputFolder(out, output, (folder) =>
      exportPeftGguf(peft!, tokenizer, folder, { name: name ?? basename(resolve(found.adapter!)), base }),
    )
    console.log(`written to ${join(out, basename(file))}`)
    console.log('for llama.cpp: give it as the adapter of the base model in GGUF')
    console.log(`for Ollama: put the base beside it (its Modelfile says FROM ${base}), or name another one there`)
    model.dispose()
    return
  }
  peft?.mergeAndUnload()
  if (to === 'safetensors') {
    await writeOutputFolder(out, output, (folder) =>
      savePretrained(model, folder, { dtype, tokenizer, ...(maxShardSize !== undefined && { maxShardSize }) }),
    )
    console.log(`written to ${out}`)
  } else {
    const card = await cardOf(found)
    const { file, notes } = await writeOutputFolder(out, output, (folder) =>
      exportGguf(model, tokenizer, folder, { type, name, preTokenizer, card }),
    )
    for (const note of notes) console.warn(plainText(`Note: ${note}.`))
    console.log(`written to ${join(out, basename(file))}`)
    console.log(`for Ollama: cd ${out} && ollama create ${name ?? 'my-model'} -f Modelfile`)
  }
  model.dispose()
}

export const exportCommand = () => command().action(run)
