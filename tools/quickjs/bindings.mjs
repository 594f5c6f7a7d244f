// Writes quickjs_bindings.h: names that people can read for what the package's tools have minified.
//   node bindings.mjs GLUE.cjs MODULE.h OUT.h
// The exports' map stands in the package's own JavaScript ("c._QTS_Eval=b.pa"), the imports are known by what the JavaScript does in them;
// the C names are read from the header that wasm2c wrote. Anything that is not found exactly once is an error.
import {readFileSync, writeFileSync} from "node:fs";

const [gluePath, headerPath, outPath] = process.argv.slice(2);
const glue = readFileSync(gluePath, "utf8");
const header = readFileSync(headerPath, "utf8");

function fail(text) {
    process.stderr.write(`bindings.mjs: ${text}\n`);
    process.exit(1);
}

const cNames = new Map(); // "export pa" or "import p" → Z_quickjsZ_pa
for (const m of header.matchAll(/\/\* (export|import): (?:'[^']*' )?'([^']*)' \*\/\s+[^;(]*?\b(\w+)\(/g))
    cNames.set(`${m[1]} ${m[2]}`, m[3]);

const exportsWanted = [
    "malloc", "free", "QTS_NewRuntime", "QTS_NewContext", "QTS_RuntimeSetMemoryLimit", "QTS_RuntimeSetMaxStackSize",
    "QTS_RuntimeEnableInterruptHandler", "QTS_Eval", "QTS_Call", "QTS_ResolveException", "QTS_GetString", "QTS_GetProp",
    "QTS_NewString", "QTS_GetUndefined", "QTS_GetTrue", "QTS_GetFalse", "QTS_ExecutePendingJob",
];

// What each import's JavaScript says, and its name in C.
const body = /ta=\{(b:[\s\S]*?)\},Z;/.exec(glue)?.[1] ?? fail("no table of imports");
const importsWanted = {
    assert_failed: /(?:^|,)(\w+):\([\w,]*\)=>M\(`Assertion failed/,
    abort_called: /(?:^|,)(\w+):\(\)=>M\(""\)/,
    keepalive_clear: /(?:^|,)(\w+):\(\)=>\{Q=!1;S=0\}/,
    local_time: /(?:^|,)(\w+):function\(a,d\)\{a=-9007199254740992>a/,
    set_timer: /(?:^|,)(\w+):\(a,d\)=>\{T\[a\]&&/,
    zone: /(?:^|,)(\w+):\(a,d,b,e\)=>\{var f=\(new Date\)\.getFullYear\(\)/,
    now: /(?:^|,)(\w+):\(\)=>Date\.now\(\)/,
    resize_heap: /(?:^|,)(\w+):a=>\{var d=H\.length/,
    environ_get: /(?:^|,)(\w+):\(a,d\)=>\{var b=0,e=0,f;for/,
    environ_sizes: /(?:^|,)(\w+):\(a,d\)=>\{var b=na\(\)/,
    fd_close: /(?:^|,)(\w+):\(\)=>52/,
    fd_seek: /(?:^|,)(\w+):function\(\)\{return 70\}/,
    fd_write: /(?:^|,)(\w+):\(a,d,b,e\)=>\{for\(var f=0,g=0/,
    exit_called: /(?:^|,)(\w+):la\b/,
    call_function: /(?:^|,)(\w+):function\([\w,]*\)\{return c\.callbacks\.callFunction/,
    should_interrupt: /(?:^|,)(\w+):function\([\w,]*\)\{return c\.callbacks\.shouldInterrupt/,
    load_module: /(?:^|,)(\w+):function\([\w,]*\)\{b=R\(b\);return c\.callbacks\.loadModuleSource/,
    normalize_module: /(?:^|,)(\w+):function\([\w,]*\)\{b=R\(b\);e=R\(e\);return c\.callbacks\.normalizeModule/,
    free_host_ref: /(?:^|,)(\w+):function\([\w,]*\)\{c\.callbacks\.freeHostRef/,
    memory: /(?:^|,)(\w+):q,/,
};

const memoryName = /extern wasm_rt_memory_t\* (\w+)\(/.exec(header)?.[1]; // the one import that is no function

const lines = ["/* Written by tools/quickjs/bindings.mjs. */", '#include "quickjs_module.h"', ""];
const used = new Set();
function define(prefix, name, key) {
    const c = name === "memory" ? memoryName : cNames.get(key);
    if (c === undefined || used.has(c))
        fail(`${name}: ${key} is ${c === undefined ? "not in the header" : "taken"}`);
    used.add(c);
    lines.push(`#define ${prefix}${name} ${c}`);
}
for (const name of exportsWanted) {
    const found = [...glue.matchAll(new RegExp(`\\bc\\._${name}=b\\.([\\w$]+);`, "g"))];
    if (found.length !== 1)
        fail(`the export ${name} was found ${found.length} times`);
    define("js_", name, `export ${found[0][1]}`);
}
const start = /\(function\(\)\{function a\(\)\{c\.calledRun=!0;if\(!C\)\{K=!0;Z\.(\w+)\(\)/.exec(glue);
define("js_", "start", `export ${start?.[1]}`);
for (const [name, pattern] of Object.entries(importsWanted)) {
    const found = pattern.exec(body);
    define("js_import_", name, `import ${found?.[1]}`);
}
const imports = [...cNames.keys()].filter((key) => key.startsWith("import "));
for (const key of imports)
    if (!used.has(cNames.get(key)))
        fail(`${key} is not known`);
writeFileSync(outPath, lines.join("\n") + "\n");
