# Compiler and linker settings shared by every target.

find_program(WEFT_CCACHE ccache)
if(WEFT_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${WEFT_CCACHE})
endif()

add_library(weft_flags INTERFACE)
# Argument structs are filled by designated initializers that leave the rest at its default.
target_compile_options(weft_flags INTERFACE -Wall -Wextra -Wno-missing-field-initializers -Wshadow
                                            -Wnon-virtual-dtor
                                            -Woverloaded-virtual)
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
target_include_directories(weft_flags INTERFACE ${CMAKE_SOURCE_DIR})
