import { CHOOSING_FILTERS } from './choosing-filters'
import { type Filter, filter } from './filter'
import { HTML_FILTERS } from './html-filters'
import { NUMBER_FILTERS } from './number-filters'
import { prettyPrint } from './pretty-print'
import { SEQUENCE_FILTERS } from './sequence-filters'
import { TEXT_FILTERS } from './text-filters'
import { toJson } from './to-json'

/** Jinja's filters, with transformers' `tojson`. */
export const FILTERS: ReadonlyMap<string, Filter> = new Map(
  Object.entries({
    ...TEXT_FILTERS,
    ...HTML_FILTERS,
    ...NUMBER_FILTERS,
    ...SEQUENCE_FILTERS,
    ...CHOOSING_FILTERS,
    pprint: filter('', prettyPrint),
    tojson: filter('ensure_ascii? indent? separators? sort_keys?', toJson),
  }),
)
