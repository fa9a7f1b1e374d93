import { TunesmithError, type TunesmithErrorCode } from './errors'

const KINDS: Record<string, [TunesmithErrorCode, string, string?]> = {
  ENOENT: ['not_found', 'There is no such file or folder', 'Check the path'],
  ENOTDIR: ['not_found', 'A part of the path is not a folder', 'Check the path'],
  EISDIR: ['invalid_file', 'This is a folder, not a file'],
  EACCES: ['io', 'No permission', 'Check the permissions of the file and its folder'],
  EPERM: ['io', 'No permission', 'Check the permissions of the file and its folder'],
  EROFS: ['io', 'The file system is read-only', 'Choose another folder, for downloads with HF_HOME'],
  ENOSPC: [
    'io',
    'No space left on the disk',
    'Free some disk space or choose another folder; what was saved before is untouched',
  ],
  EDQUOT: [
    'io',
    'The disk quota is used up',
    'Free some space or choose another folder; what was saved before is untouched',
  ],
  EMFILE: ['io', 'Too many open files', 'Raise the limit with `ulimit -n`'],
}

/** A file system failure as a {@link TunesmithError}; an error that is one already passes through. */
export function fileError(error: unknown, path: string, action: string): TunesmithError {
  if (error instanceof TunesmithError) return error
  const { code = '', message } = error as NodeJS.ErrnoException
  const [kind, what, remedy] = KINDS[code] ?? ['io', message]
  return new TunesmithError(`Could not ${action}: ${what}`, { code: kind, where: path, cause: error, remedy })
}

/** For the `catch` of a promise: throws {@link fileError}. */
export const failAs = (path: string, action: string) => (error: unknown) => {
  throw fileError(error, path, action)
}
