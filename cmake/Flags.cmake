# The flags that every file of the project is built with (STYLE.md, "Build and commits").
add_library(runnel_flags INTERFACE)
target_compile_options(runnel_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings
  -Wpointer-arith -Wvla -Wformat=2 -Wundef -Wcast-qual -Werror -fno-strict-aliasing)

if(RUNNEL_SANITIZE)
  target_compile_options(runnel_flags INTERFACE -fsanitize=${RUNNEL_SANITIZE}
    -fno-sanitize-recover=all -fno-omit-frame-pointer -O1 -g)
  target_link_options(runnel_flags INTERFACE -fsanitize=${RUNNEL_SANITIZE})
elseif(CMAKE_BUILD_TYPE STREQUAL "Release")
  target_compile_options(runnel_flags INTERFACE -O2 -g1 -fstack-protector-strong
    -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3)
  target_link_options(runnel_flags INTERFACE -Wl,-z,relro -Wl,-z,now)
endif()
if(RUNNEL_FUZZ)
  target_compile_options(runnel_flags INTERFACE -fsanitize=fuzzer-no-link,address,undefined -g)
  target_link_options(runnel_flags INTERFACE -fsanitize=address,undefined)
endif()
