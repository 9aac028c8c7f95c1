# weft_module(NAME DIR DEPS...): the static library NAME from every .cpp directly in DIR.
function(weft_module name dir)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${dir}/*.cpp)
  add_library(${name} STATIC ${sources})
  target_link_libraries(${name} PUBLIC weft_flags ${ARGN})
endfunction()

# weft_tests(DIR DEPS...): one GoogleTest program from every *_test.cpp directly in tests/DIR, linked
# with DEPS alone, so that a module that reaches above itself does not link.
function(weft_tests dir)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/${dir}/*_test.cpp)
  string(REPLACE "/" "_" name ${dir})
  add_executable(test_${name} ${sources})
  target_link_libraries(test_${name} PRIVATE weft_flags ${ARGN} GTest::gtest GTest::gmock
                                             GTest::gtest_main)
  target_compile_definitions(test_${name} PRIVATE
    WEFT_SOURCE_DIR="${CMAKE_SOURCE_DIR}" WEFT_SHARED_DATA="${WEFT_SHARED_DATA}")
  gtest_discover_tests(test_${name} TEST_PREFIX "${dir}/" DISCOVERY_MODE PRE_TEST
                       PROPERTIES TIMEOUT 300 ENVIRONMENT "${WEFT_TEST_ENVIRONMENT}")
endfunction()
