# Headers that most files include, parsed once: a third of the time of a whole build is theirs.
#
# Every file still includes what it uses; -DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON builds without. A compiler
# accepts a precompiled header only under the options it was made with, so all targets share weft_flags,
# and there is one for each level of optimisation.

file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/precompiled.cpp CONTENT "")
set(WEFT_LIGHT_OPTIMIZATION $<$<CONFIG:Release>:-O1>)

foreach(target weft_precompiled weft_precompiled_light)
  add_library(${target} STATIC ${CMAKE_BINARY_DIR}/precompiled.cpp)
  target_link_libraries(${target} PRIVATE weft_flags fmt::fmt)
  target_precompile_headers(${target} PRIVATE
    <algorithm> <array> <charconv> <cmath> <cstdint> <cstring> <filesystem> <functional> <map> <memory>
    <optional> <span> <string> <string_view> <utility> <vector> <fmt/format.h>)
endforeach()
target_compile_options(weft_precompiled_light PRIVATE ${WEFT_LIGHT_OPTIMIZATION})

if(WEFT_TESTS)
  # What tests compute themselves is little; compiling them is half of the whole build.
  set(WEFT_TEST_OPTIMIZATION $<$<COMPILE_LANG_AND_ID:CXX,GNU,Clang>:-O1>)
  add_library(weft_precompiled_tests STATIC ${CMAKE_BINARY_DIR}/precompiled.cpp)
  target_compile_options(weft_precompiled_tests PRIVATE ${WEFT_TEST_OPTIMIZATION})
  target_link_libraries(weft_precompiled_tests PRIVATE weft_flags fmt::fmt GTest::gtest GTest::gmock)
  target_precompile_headers(weft_precompiled_tests PRIVATE
    <algorithm> <array> <cmath> <cstdint> <filesystem> <fstream> <functional> <memory> <optional> <span>
    <string> <string_view> <vector> <fmt/format.h> <gtest/gtest.h> <gmock/gmock.h>)
endif()
