// node embed.mjs DIST FINAL: compresses the files of DIST and writes assets.c, which carries them as bytes. FINAL is where the
// folder will stand when assets.c is compiled.
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { extname, join, relative } from 'node:path'
import { gzipSync, constants } from 'node:zlib'

const [dist, final] = process.argv.slice(2)
const types = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript; charset=utf-8', '.css': 'text/css; charset=utf-8', '.svg': 'image/svg+xml' }
const walk = dir => readdirSync(dir).flatMap(name => { const path = join(dir, name); return statSync(path).isDirectory() ? walk(path) : [path] })

let bytes = '', table = '', total = 0, count = 0
for (const path of walk(dist).sort()) {
  if (path.endsWith('.gz')) continue
  const name = '/' + relative(dist, path), data = readFileSync(path), zipped = gzipSync(data, { level: constants.Z_BEST_COMPRESSION })
  if (!types[extname(path)]) throw new Error(`no media type for ${name}`)
  writeFileSync(path + '.gz', zipped)
  total += zipped.length
  const at = join(final, 'dist', relative(dist, path)), etag = createHash('sha256').update(data).digest('hex').slice(0, 16)
  bytes += `BYTES(console_${count}, "${at}")\nBYTES(console_${count}_gzip, "${at}.gz")\n`
  table += `    {"${name}", "${types[extname(path)]}", "\\"${etag}\\"", ${name.startsWith('/assets/')}, console_${count}, console_${count}_end, console_${count}_gzip, console_${count}_gzip_end},\n`
  count++
}
if (total > 300 * 1024) throw new Error(`the console is ${total} bytes gzipped: 300 KiB is the most`)
writeFileSync('assets.c', `/* Made by tools/console/embed.mjs: ${count} files, ${total} bytes gzipped. */
#include "api/assets.h"

#define BYTES(name, path)                                                                          \\
    __asm__(".section .rodata\\n" #name ":\\n.incbin \\"" path "\\"\\n" #name "_end:\\n.byte 0\\n.previous\\n"); \\
    extern const char name[], name##_end[];

${bytes}
const struct console_asset console_assets[] = {
${table}};
const size_t console_asset_count = ${count};
`)
