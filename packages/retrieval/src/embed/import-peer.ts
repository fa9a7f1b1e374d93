import { TunesmithError } from '@tunesmith/core'

/**
 * A package that only some users need, so that they install it themselves.
 *
 * @throws {TunesmithError} `not_found`, saying what to install.
 */
export async function importPeer<Module>(load: () => Promise<unknown>, what: string, install: string): Promise<Module> {
  try {
    return (await load()) as Module
  } catch (cause) {
    throw new TunesmithError(
      `${what} needs a package that cannot be loaded: ${(cause as Error).message.split('\n')[0]}`,
      {
        code: 'not_found',
        remedy: `Run: npm install ${install}`,
        cause,
      },
    )
  }
}
