# The target `quickjs`: QuickJS as the npm package brings it (WebAssembly), made C by wasm2c and compiled once, without
# sanitizers, into ${RUNNEL_CACHE_DIR}; every build folder with the same compiler links the same library. Neither the wasm nor the
# generated C is in the repository. What makes it: tools/quickjs/build.cmake.
set(RUNNEL_CACHE_DIR ${CMAKE_SOURCE_DIR}/build/cache CACHE PATH "what is built once for all build folders")

set(quickjs_package @jitl/quickjs-wasmfile-release-sync)
set(quickjs_version 0.32.0)
set(quickjs_wasm_sha256 105c3bed22d457e43e3d1c3c1c6959fda62a8fe06f0fc8a985303c3a2be72232)
set(quickjs_glue_sha256 0c4f1704b22239171f4eff52eae838de5912b078c37cd9d762b1c5ec265bb73c)
set(quickjs_tools ${CMAKE_SOURCE_DIR}/tools/quickjs)

set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${quickjs_tools}/build.cmake
  ${quickjs_tools}/bindings.mjs)
file(SHA256 ${quickjs_tools}/build.cmake quickjs_build_sha256)
file(SHA256 ${quickjs_tools}/bindings.mjs quickjs_bindings_sha256)
string(SHA256 quickjs_key "${quickjs_wasm_sha256} ${CMAKE_C_COMPILER_ID} ${CMAKE_C_COMPILER_VERSION} \
${CMAKE_SYSTEM_PROCESSOR} ${quickjs_build_sha256} ${quickjs_bindings_sha256}")
string(SUBSTRING ${quickjs_key} 0 16 quickjs_key)
set(quickjs_dir ${RUNNEL_CACHE_DIR}/quickjs-${quickjs_key})

if(NOT EXISTS ${quickjs_dir}/libquickjs.a)
  find_program(RUNNEL_NPM npm)
  find_program(RUNNEL_NODE NAMES node nodejs)
  find_program(RUNNEL_WASM2C wasm2c)
  find_path(RUNNEL_WABT_DIR wasm-rt-impl.c PATHS /usr/share/wabt/wasm2c /usr/src/wasm2c NO_DEFAULT_PATH)
  if(NOT RUNNEL_NPM OR NOT RUNNEL_NODE)
    message(FATAL_ERROR "QuickJS comes as an npm package and npm is not here: install the packages nodejs and npm (tools/setup.sh does).")
  endif()
  if(NOT RUNNEL_WASM2C OR NOT RUNNEL_WABT_DIR)
    message(FATAL_ERROR "QuickJS is made C by wasm2c, which is not here: install the package wabt (tools/setup.sh does).")
  endif()
endif()

add_custom_command(OUTPUT ${quickjs_dir}/libquickjs.a
  COMMAND ${CMAKE_COMMAND} -DOUT_DIR=${quickjs_dir} -DPACKAGE=${quickjs_package} -DVERSION=${quickjs_version}
    -DWASM_SHA256=${quickjs_wasm_sha256} -DGLUE_SHA256=${quickjs_glue_sha256} -DNPM=${RUNNEL_NPM}
    -DNODE=${RUNNEL_NODE} -DWASM2C=${RUNNEL_WASM2C} -DWABT_DIR=${RUNNEL_WABT_DIR} -DCC=${CMAKE_C_COMPILER}
    -DAR=${CMAKE_AR} -P ${quickjs_tools}/build.cmake
  COMMENT "QuickJS" VERBATIM USES_TERMINAL)
add_custom_target(quickjs_build DEPENDS ${quickjs_dir}/libquickjs.a)

add_library(quickjs INTERFACE)
add_dependencies(quickjs quickjs_build)
target_include_directories(quickjs SYSTEM INTERFACE ${quickjs_dir}/include)
target_link_libraries(quickjs INTERFACE ${quickjs_dir}/libquickjs.a m)
