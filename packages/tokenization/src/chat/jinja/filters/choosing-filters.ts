import { TemplateFault } from '../values/fault'
import { iterate } from '../values/iterate'
import { type Kwargs, NO_KWARGS, PyIterator, truthy, type Value } from '../values/value'
import { attributeGetter, type Environment, type Filter, type Getter } from './filter'

/** The filters that take another filter or a test by name. Each gives a generator that does nothing until it is asked. */

function mapper(environment: Environment, args: readonly Value[], kwargs: Kwargs): Getter {
  if (args.length === 0 && kwargs.has('attribute')) {
    for (const name of kwargs.keys())
      if (name !== 'attribute' && name !== 'default') throw new TemplateFault(`Unexpected keyword argument '${name}'`)
    return attributeGetter(kwargs.get('attribute'), undefined, kwargs.get('default') ?? null)
  }
  if (args.length === 0) throw new TemplateFault('map requires a filter argument')
  const [name, ...rest] = args
  return (item) => environment.filter(name)(environment, item, rest, kwargs)
}

function* mapped(environment: Environment, value: Value, args: readonly Value[], kwargs: Kwargs) {
  if (!truthy(value)) return
  const get = mapper(environment, args, kwargs)
  for (const item of iterate(value)) yield get(item)
}

function chooser(environment: Environment, args: readonly Value[], kwargs: Kwargs, byAttribute: boolean) {
  if (byAttribute && args.length === 0) throw new TemplateFault('Missing parameter for attribute name')
  const get = attributeGetter(byAttribute ? args[0] : null)
  const [name, ...rest] = byAttribute ? args.slice(1) : args
  if (name === undefined) return (item: Value) => truthy(get(item))
  return (item: Value) => environment.test(name)(environment, get(item), rest, kwargs)
}

function choosing(name: string, keep: boolean, byAttribute: boolean): Filter {
  function* chosen(environment: Environment, value: Value, args: readonly Value[], kwargs: Kwargs) {
    if (!truthy(value)) return
    const test = chooser(environment, args, kwargs, byAttribute)
    for (const item of iterate(value)) if (test(item) === keep) yield item
  }
  return (environment, value, args, kwargs = NO_KWARGS) =>
    new PyIterator('generator', chosen(environment, value, args, kwargs), name)
}

export const CHOOSING_FILTERS: Record<string, Filter> = {
  map: (environment, value, args, kwargs) =>
    new PyIterator('generator', mapped(environment, value, args, kwargs), 'sync_do_map'),
  reject: choosing('sync_do_reject', false, false),
  rejectattr: choosing('sync_do_rejectattr', false, true),
  select: choosing('sync_do_select', true, false),
  selectattr: choosing('sync_do_selectattr', true, true),
}
