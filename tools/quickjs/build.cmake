# Makes QuickJS once: npm package -> wasm (checked by its hash) -> C (wasm2c) -> libquickjs.a in OUT_DIR.
#   cmake -DOUT_DIR=… -DPACKAGE=… -DVERSION=… -DWASM_SHA256=… -DGLUE_SHA256=… -DNPM=… -DNODE=… -DWASM2C=… -DWABT_DIR=…
#         -DCC=… -DAR=… -P build.cmake
# Everything happens in a folder beside OUT_DIR that is renamed at the end, so that builds at the same time do not harm each other:
# the first one there wins, the other's work is dropped.
cmake_minimum_required(VERSION 3.25)

set(ready ${OUT_DIR}/include/quickjs_bindings.h)
if(EXISTS ${ready} AND EXISTS ${OUT_DIR}/libquickjs.a)
  return()
endif()
string(RANDOM LENGTH 12 ALPHABET abcdefghijklmnopqrstuvwxyz0123456789 name)
set(work ${OUT_DIR}.${name})
file(MAKE_DIRECTORY ${work}/include)
message("QuickJS: building it, once for all build folders (about 30 s)")

function(run what)
  execute_process(COMMAND ${ARGN} WORKING_DIRECTORY ${work} RESULT_VARIABLE result
    OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT result EQUAL 0)
    file(REMOVE_RECURSE ${work})
    message(FATAL_ERROR "QuickJS: ${what} failed (${result}):\n${output}")
  endif()
endfunction()

function(check path expected)
  file(SHA256 ${path} actual)
  if(NOT actual STREQUAL expected)
    file(REMOVE_RECURSE ${work})
    message(FATAL_ERROR "QuickJS: ${path} is not the file that was pinned:\n  expected ${expected}\n  found    ${actual}")
  endif()
endfunction()

run("npm pack ${PACKAGE}@${VERSION} (is the npm registry reachable?)" ${NPM} pack --silent ${PACKAGE}@${VERSION})
file(GLOB archive ${work}/*.tgz)
run("unpacking" ${CMAKE_COMMAND} -E tar xf ${archive})
set(dist ${work}/package/dist)
check(${dist}/emscripten-module.wasm ${WASM_SHA256})
check(${dist}/emscripten-module.cjs ${GLUE_SHA256})
run("wasm2c" ${WASM2C} ${dist}/emscripten-module.wasm -n quickjs -o quickjs_module.c)
run("reading the names" ${NODE} ${CMAKE_CURRENT_LIST_DIR}/bindings.mjs ${dist}/emscripten-module.cjs
  quickjs_module.h include/quickjs_bindings.h)
# Guard pages and a SIGSEGV handler check the bounds of linear memory; NDEBUG leaves the generated asserts out; a fortified longjmp would
# refuse to leave the signal stack.
set(flags -O2 -g0 -w -fPIC -DNDEBUG -U_FORTIFY_SOURCE -fno-strict-aliasing -DWASM_RT_MEMCHECK_SIGNAL_HANDLER=1 -I. -I${WABT_DIR})
run("compiling" ${CC} ${flags} -c quickjs_module.c -o quickjs_module.o)
run("compiling wabt's runtime" ${CC} ${flags} -c ${WABT_DIR}/wasm-rt-impl.c -o wasm_rt_impl.o)
run("ar" ${AR} rcs libquickjs.a quickjs_module.o wasm_rt_impl.o)
file(COPY ${work}/quickjs_module.h ${WABT_DIR}/wasm-rt-impl.h DESTINATION ${work}/include)
file(COPY ${work}/package/LICENSE DESTINATION ${work})
file(REMOVE_RECURSE ${work}/package ${archive} ${work}/quickjs_module.c ${work}/quickjs_module.h
  ${work}/quickjs_module.o ${work}/wasm_rt_impl.o)
if(EXISTS ${OUT_DIR} AND NOT (EXISTS ${ready} AND EXISTS ${OUT_DIR}/libquickjs.a))
  file(REMOVE_RECURSE ${OUT_DIR}) # half of it was deleted
endif()
file(RENAME ${work} ${OUT_DIR} RESULT result)
if(NOT result STREQUAL "0")
  file(REMOVE_RECURSE ${work})
  if(NOT EXISTS ${OUT_DIR}/libquickjs.a)
    message(FATAL_ERROR "QuickJS: ${OUT_DIR} could not be made: ${result}")
  endif()
endif()
