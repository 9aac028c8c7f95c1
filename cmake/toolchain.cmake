# Compiler and linker settings shared by every target.

find_program(WEFT_CCACHE ccache)
if(WEFT_CCACHE)
  # What it holds serves every clone of the tree, and what uses precompiled headers too.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1
      CCACHE_SLOPPINESS=pch_defines,time_macros ${WEFT_CCACHE})
endif()

add_library(weft_flags INTERFACE)
# Argument structs are filled by designated initializers that leave the rest at its default.
target_compile_options(weft_flags INTERFACE -Wall -Wextra -Wno-missing-field-initializers -Wshadow
                                            -Wnon-virtual-dtor
                                            -Woverloaded-virtual)
# GCC 12 takes the inlined move or sum of short strings for overruns.
target_compile_options(weft_flags INTERFACE
  $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-array-bounds;-Wno-restrict;-Wno-stringop-overflow;-Wno-stringop-overread>)
if(WEFT_WERROR)
  target_compile_options(weft_flags INTERFACE -Werror)
endif()
if(WEFT_ARCH)
  target_compile_options(weft_flags INTERFACE -march=${WEFT_ARCH})
endif()
# Contraction would make one formula round differently in two places of the program; kernels that
# want fused multiply-add say std::fma.
target_compile_options(weft_flags INTERFACE -ffp-contract=off)
if(WEFT_SANITIZE)
  target_compile_options(weft_flags INTERFACE -fsanitize=${WEFT_SANITIZE} -fno-omit-frame-pointer
                                              -fno-sanitize-recover=all)
  target_link_options(weft_flags INTERFACE -fsanitize=${WEFT_SANITIZE})
endif()
# ccache sees through precompiled headers of GCC with this.
target_compile_options(weft_flags INTERFACE $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-fpch-preprocess>)
target_include_directories(weft_flags INTERFACE ${CMAKE_SOURCE_DIR})
