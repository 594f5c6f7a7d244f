# The web console (console/), built by npm into bytes that room_api carries: console_assets is the file to compile. Node is a
# build-time need only, and where npm is missing the runtime is built without the console and says so at /.
find_program(RUNNEL_NPM npm)
find_program(RUNNEL_NODE NAMES node nodejs)
set(console_assets ${CMAKE_BINARY_DIR}/console/assets.c)
file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/console)
if(RUNNEL_NPM AND RUNNEL_NODE)
  file(GLOB_RECURSE console_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/console/src/* ${CMAKE_SOURCE_DIR}/console/public/*)
  add_custom_command(OUTPUT ${console_assets}
    COMMAND ${CMAKE_COMMAND} -DSOURCE_DIR=${CMAKE_SOURCE_DIR}/console -DCACHE_DIR=${RUNNEL_CACHE_DIR} -DOUT=${console_assets}
      -DNPM=${RUNNEL_NPM} -DNODE=${RUNNEL_NODE} -P ${CMAKE_SOURCE_DIR}/tools/console/build.cmake
    DEPENDS ${console_sources} ${CMAKE_SOURCE_DIR}/console/package.json ${CMAKE_SOURCE_DIR}/console/package-lock.json
      ${CMAKE_SOURCE_DIR}/console/index.html ${CMAKE_SOURCE_DIR}/console/vite.config.js ${CMAKE_SOURCE_DIR}/tools/console/build.cmake
      ${CMAKE_SOURCE_DIR}/tools/console/embed.mjs
    COMMENT "web console" VERBATIM)
else()
  message(WARNING "npm is not here: runnel is built without its web console (tools/setup.sh installs it).")
  file(WRITE ${console_assets} "#include \"api/assets.h\"\n\nconst struct console_asset console_assets[] = {{0}};\nconst size_t console_asset_count = 0;\n")
endif()
