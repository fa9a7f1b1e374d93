/**
 * What the container runs. A service starts it as `IMAGE train`; `TUNESMITH_ML_FOLDER` moves `/opt/ml` for a trial on one's own
 * machine.
 */
import { runJob } from './train'

const [command = 'train'] = process.argv.slice(2)
if (command === 'train') process.exitCode = await runJob(process.env.TUNESMITH_ML_FOLDER)
else {
  process.stderr.write(`unknown command "${command}"; this image trains: run it with "train"\n`)
  process.exitCode = 1
}
