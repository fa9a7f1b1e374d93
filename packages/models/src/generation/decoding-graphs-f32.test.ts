import { emulateCuda } from '@tunesmith/tooling/emulated-cuda'
import { describe } from 'vitest'
import { testDecodingGraphs } from '../testing/decoding-graphs'

describe.runIf(emulateCuda('f32'))('on the emulated CUDA backend', () => testDecodingGraphs('f32'))
