export { createSchedule, type ScheduleOptions } from './create-schedule'
export { SCHEDULES, type ScheduleKwargs, type ScheduleName } from './kwargs'
export type { Schedule } from './schedule'
