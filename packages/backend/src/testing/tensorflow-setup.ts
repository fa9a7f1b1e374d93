import { pythonVenv } from '@tunesmith/tooling/python'
import { fixTensorFlow } from '../tensorflow/doctor'

/**
 * Before the tests: makes `@tensorflow/tfjs-node` loadable with a real libtensorflow, where pip can get one. The reason why
 * not goes into TUNESMITH_TEST_NO_TENSORFLOW, and its tests are then skipped.
 */
export default async function setup(): Promise<void> {
  const { python, reason } = await pythonVenv('tensorflow', ['tensorflow-cpu'])
  if (python) process.env.TUNESMITH_PYTHON = python
  const failure = python
    ? await fixTensorFlow((line) => console.log(line)).then(
        () => '',
        (error: Error) => error.message,
      )
    : reason
  process.env.TUNESMITH_TEST_NO_TENSORFLOW = failure
  if (failure) console.warn(`skipped: the backend "tensorflow" cannot be tested here: ${failure}`)
}
