import { render } from 'preact'
import { App } from './parts/app'
import { storage } from './talk/storage'
import { Talk } from './talk/talk'

const root = document.getElementById('page')!
const talk = new Talk(storage('localStorage'), storage('sessionStorage'))
render(<App talk={talk} notice={root.dataset.notice!} />, root)
void talk.connect()
// What was answered until now stays when the page is left in mid-answer.
addEventListener('pagehide', () => talk.save())
addEventListener('storage', () => talk.reread())
