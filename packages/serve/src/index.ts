export { type AppOptions, createApp } from './app'
export { type RunningServer, type ServerOptions, startServer } from './server'
