# runnel_plugin(APP sources…): one app's components as APP.so in <build>/components, built as any
# component author builds one: only the SDK header, hidden symbols, one exported symbol.
function(runnel_plugin name)
  add_library(plugin_${name} MODULE ${ARGN})
  target_compile_features(plugin_${name} PRIVATE c_std_11)
  set_target_properties(plugin_${name} PROPERTIES C_EXTENSIONS OFF PREFIX "" OUTPUT_NAME ${name}
    C_VISIBILITY_PRESET hidden LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/components
    LINK_DEPENDS ${CMAKE_SOURCE_DIR}/sdk/plugin.map)
  target_link_libraries(plugin_${name} PRIVATE runnel_flags runnel_sdk)
  target_compile_options(plugin_${name} PRIVATE -Wconversion)
  target_link_options(plugin_${name} PRIVATE -Wl,--version-script=${CMAKE_SOURCE_DIR}/sdk/plugin.map)
  if(NOT RUNNEL_SANITIZE AND NOT RUNNEL_FUZZ)
    target_link_options(plugin_${name} PRIVATE -Wl,-z,defs)
  endif()
endfunction()
