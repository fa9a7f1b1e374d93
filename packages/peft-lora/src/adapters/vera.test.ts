import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { loadPeftModel, savePeftModel } from '../files'
import { getPeftModel } from '../peft-model'
import { testAdapter, tinyModel } from '../testing'

const layer = 'base_model.model.model.layers.0'
const lambdas = (module: string) => [`${layer}.${module}.vera_lambda_b`, `${layer}.${module}.vera_lambda_d`]

testAdapter({
  name: 'VeRA',
  config: { peftType: 'VERA', r: 16, dInitial: 0.3 },
  keys: [...lambdas('self_attn.q_proj'), ...lambdas('self_attn.v_proj')],
})

testAdapter({
  name: 'VeRA on modules of different sizes, with dropout and biases',
  config: {
    peftType: 'VERA',
    r: 8,
    dInitial: 0.5,
    targetModules: ['v_proj', 'down_proj'],
    veraDropout: 0.1,
    bias: 'vera_only',
  },
  keys: [...lambdas('self_attn.v_proj'), ...lambdas('mlp.down_proj'), `${layer}.self_attn.v_proj.base_layer.bias`],
  model: { config: { model_type: 'qwen2' } },
})

describe('VeRA', () => {
  it('shares random matrices as large as the largest module, the same for the same key', () => {
    const peft = getPeftModel(tinyModel(), { peftType: 'VERA', r: 4, targetModules: ['k_proj', 'down_proj'] })
    const matrices = () => Object.values(peft.adapter().shared?.buffers ?? {})
    expect(matrices().map(({ shape }) => shape)).toEqual([
      [4, 48],
      [32, 4],
    ])
    const first = matrices().map((matrix) => matrix.dataSync())
    expect(Math.max(...first[0]!.map(Math.abs))).toBeLessThan(Math.sqrt(6 / 48))
    peft.addAdapter('second', peft.config as never, { seed: 5 }).setAdapter('second')
    expect(matrices().map((matrix) => matrix.dataSync())).toEqual(first)
    peft.unload().dispose()
  })

  it('refuses a file without the random matrices', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tunesmith-vera-'))
    const model = tinyModel()
    const peft = getPeftModel(model, { peftType: 'VERA', r: 4 })
    await savePeftModel(peft, folder)
    peft.unload()
    const file = join(folder, 'adapter_config.json')
    await writeFile(file, (await readFile(file, 'utf8')).replace('"save_projection": true', '"save_projection": false'))
    await expect(loadPeftModel(model, folder)).rejects.toThrow('saved without its random matrices')
    model.dispose()
    await rm(folder, { recursive: true })
  })
})
