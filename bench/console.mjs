// The browser's part of bench/console.py: reads a word a line, does it, answers with one line of JSON.
import { createInterface } from 'node:readline'
import { open, settings } from '../tests/console/browser.mjs'

const signIn = async context => context.addInitScript(([origin, session]) => { if (location.origin === origin) localStorage.setItem('runnel-session', session) }, [settings.admin, settings.token])
let pages = null

const work = {
  // A new profile each time: nothing cached. Interactive: the overview shows its numbers and a click on a section leads there.
  async open() {
    const ms = []
    for (let i = 0; i < 5; i++) {
      const context = await open({ profile: '' })
      await signIn(context)
      const page = context.pages()[0]
      const began = performance.now()
      await page.goto(settings.admin)
      await page.waitForSelector('.cards .card strong')
      ms.push(performance.now() - began)
      await page.click('nav a[href="#/runs"]')
      await page.waitForSelector('.row')
      await context.close()
    }
    return { ms }
  },
  async scroll() {
    const context = await open({ profile: '' })
    await signIn(context)
    const page = context.pages()[0]
    await page.goto(`${settings.admin}/#/runs`)
    await page.waitForSelector('.row')
    const longest = await page.evaluate(async () => {
      const list = document.querySelector('.list'), rows = document.querySelector('.rows')
      let last = performance.now(), longest = 0
      while (rows.clientHeight < 20000 * 56) {
        list.scrollTop = rows.clientHeight
        await new Promise(requestAnimationFrame)
        const now = performance.now()
        longest = Math.max(longest, now - last)
        last = now
      }
      return longest
    })
    await context.close()
    return { longest }
  },
  async pages() {
    pages = await open({ profile: '' })
    await signIn(pages)
    const kinds = ['', 'runs', 'events', 'workflows', 'logs', 'sources', 'runs?status=queued', 'events', '', 'runs']
    for (const kind of kinds) {
      const page = await pages.newPage()
      await page.goto(`${settings.admin}/#/${kind}`)
      await page.waitForSelector('.live.live')
    }
    return { pages: kinds.length }
  },
  async close() { await pages.close(); return {} },
}

for await (const word of createInterface({ input: process.stdin })) {
  try { console.log(JSON.stringify(await work[word]())) } catch (error) { console.error(error); process.exit(1) }
}
