import { library } from '@tunesmith/tooling/tsup'

export default library()
