# Who may know whom is said once, in docs/layers.txt: the libraries link by its lines.
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/docs/layers.txt)
file(STRINGS ${CMAKE_SOURCE_DIR}/docs/layers.txt lines REGEX "^[a-z_./]+ +=")
foreach(line IN LISTS lines)
  if(line MATCHES "^(core|parallel|optim|data|launch|tests)([a-z_/]*) +=(.*)$")
    set(module ${CMAKE_MATCH_1}${CMAKE_MATCH_2})
    separate_arguments(WEFT_LAYERS_${module} UNIX_COMMAND "${CMAKE_MATCH_3}")
    set(WEFT_HAS_LAYERS_${module} TRUE)
  endif()
endforeach()

# weft_library(VARIABLE DIR): the name of the library of DIR.
function(weft_library variable dir)
  string(REPLACE "/" "_" name ${dir})
  set(${variable} weft_${name} PARENT_SCOPE)
endfunction()

# weft_layers(VARIABLE DIR): the libraries that DIR stands on, of those that this build has. For a
# folder of tests: its own line or that of the nearest folder above which has one; else the module
# that it mirrors.
function(weft_layers variable dir)
  set(line ${dir})
  if(dir MATCHES "^tests/(.*)")
    set(mirrored ${CMAKE_MATCH_1})
    while(NOT WEFT_HAS_LAYERS_${line} AND NOT WEFT_HAS_LAYERS_${mirrored})
      cmake_path(GET line PARENT_PATH line)
      cmake_path(GET mirrored PARENT_PATH mirrored)
      if(mirrored STREQUAL "")
        message(FATAL_ERROR "docs/layers.txt has no line for ${dir}")
      endif()
    endwhile()
  elseif(NOT WEFT_HAS_LAYERS_${dir})
    message(FATAL_ERROR "docs/layers.txt has no line for ${dir}")
  endif()
  set(modules ${WEFT_LAYERS_${line}})
  if(NOT WEFT_HAS_LAYERS_${line})
    set(modules ${mirrored})
  endif()
  set(libraries "")
  foreach(module IN LISTS modules)
    weft_library(library ${module})
    list(APPEND libraries $<TARGET_NAME_IF_EXISTS:${library}>)
  endforeach()
  set(${variable} ${libraries} PARENT_SCOPE)
endfunction()

# Files that are compiled as one: what the library's headers make the compiler do is done once for all.
# Off for developers, whose next change then compiles one file; lint.unity holds the names to it.
option(WEFT_UNITY "Compile the files of a library eight at a time" OFF)

# weft_module(DIR LIBRARIES...): the library of DIR from every .cpp directly in it, upon the modules
# of its line in docs/layers.txt and the given libraries of others.
function(weft_module dir)
  weft_library(name ${dir})
  weft_layers(layers ${dir})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${dir}/*.cpp)
  if(NOT sources)
    add_library(${name} INTERFACE)
    target_link_libraries(${name} INTERFACE weft_flags ${layers} ${ARGN})
    return()
  endif()
  add_library(${name} STATIC ${sources})
  target_link_libraries(${name} PUBLIC weft_flags ${layers} ${ARGN})
  set(precompiled weft_precompiled)
  if(WEFT_LIGHT_MODULE)
    set(precompiled weft_precompiled_light)
    target_compile_options(${name} PRIVATE ${WEFT_LIGHT_OPTIMIZATION})
  endif()
  target_precompile_headers(${name} REUSE_FROM ${precompiled})
  if(NOT dir MATCHES "/(cuda|nccl)$")
    set_target_properties(${name} PROPERTIES UNITY_BUILD ${WEFT_UNITY} UNITY_BUILD_BATCH_SIZE 8)
    set_property(GLOBAL APPEND PROPERTY WEFT_LIBRARIES ${name})
  endif()
endfunction()

# weft_light_module(DIR LIBRARIES...): the same for code that takes longer to optimise than to run.
function(weft_light_module)
  set(WEFT_LIGHT_MODULE TRUE)
  weft_module(${ARGV})
endfunction()

# weft_tests(DIR LIBRARIES...): one GoogleTest program from every *_test.cpp directly in tests/DIR,
# linked with what its line in docs/layers.txt names alone, so that a module that reaches above itself
# does not link.
function(weft_tests dir)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/${dir}/*_test.cpp)
  string(REPLACE "/" "_" name ${dir})
  weft_layers(layers tests/${dir})
  add_executable(test_${name} ${sources})
  target_compile_options(test_${name} PRIVATE ${WEFT_TEST_OPTIMIZATION})
  target_link_libraries(test_${name} PRIVATE weft_flags ${layers} ${ARGN} GTest::gtest GTest::gmock
                                             GTest::gtest_main)
  target_precompile_headers(test_${name} REUSE_FROM weft_precompiled_tests)
  target_compile_definitions(test_${name} PRIVATE
    WEFT_SOURCE_DIR="${CMAKE_SOURCE_DIR}" WEFT_SHARED_DATA="${WEFT_SHARED_DATA}")
  gtest_discover_tests(test_${name} TEST_PREFIX "${dir}/" DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 120
                       PROPERTIES TIMEOUT 300)
  # Ranks that are threads wait for each other by polling: on cores that another test keeps busy each
  # wait costs a time slice. WEFT_TEST_ALONE set around a call runs its tests one at a time.
  if(NOT DEFINED WEFT_TEST_ALONE)
    set(WEFT_TEST_ALONE FALSE)
  endif()
  set(labels "")
  if(DEFINED WEFT_TEST_LABELS)  # likewise, for ctest -L
    set(labels "LABELS ${WEFT_TEST_LABELS}")
  endif()
  # gtest_discover_tests keeps only the first variable of a list, so the environment is set apart.
  set(environment_file ${CMAKE_CURRENT_BINARY_DIR}/test_${name}_environment.cmake)
  file(CONFIGURE OUTPUT ${environment_file} @ONLY CONTENT
    "set_tests_properties(\${test_@name@_TESTS} PROPERTIES ENVIRONMENT \"@WEFT_TEST_ENVIRONMENT@\" RUN_SERIAL @WEFT_TEST_ALONE@ @labels@)\n")
  set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES ${environment_file})
endfunction()

# What every test runs with. Open MPI: root may launch (containers), more ranks than cores, unbound, which
# then yield instead of spinning through a time slice, and no traffic beyond this machine. Open MPI 5
# starts ranks by PRRTE and PMIx, which have names of their own for that. PRRTE insists on an interface
# beside lo to listen on, where nobody comes. What runs keep of the machine stays in the build folder.
set(WEFT_TEST_ENVIRONMENT
    WEFT_CACHE=${CMAKE_BINARY_DIR}/test-cache
    OMPI_ALLOW_RUN_AS_ROOT=1
    OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
    OMPI_MCA_mpi_yield_when_idle=1
    OMPI_MCA_pml=ob1)
set(mpirun_version "")
if(TARGET weft_mpi)
  execute_process(COMMAND ${MPIEXEC_EXECUTABLE} --version OUTPUT_VARIABLE mpirun_version ERROR_QUIET)
endif()
if(mpirun_version MATCHES "Open MPI\\) ([0-9]+)" AND CMAKE_MATCH_1 GREATER_EQUAL 5)
  list(APPEND WEFT_TEST_ENVIRONMENT
       PRTE_MCA_rmaps_default_mapping_policy=:OVERSUBSCRIBE
       PRTE_MCA_hwloc_default_binding_policy=none
       PMIX_MCA_ptl_base_if_include=lo
       OMPI_MCA_btl=self,sm)
else()
  list(APPEND WEFT_TEST_ENVIRONMENT
       OMPI_MCA_rmaps_base_oversubscribe=1
       OMPI_MCA_hwloc_base_binding_policy=none
       OMPI_MCA_plm=isolated
       OMPI_MCA_oob_tcp_if_include=lo
       OMPI_MCA_btl=self,vader)
endif()
if(WEFT_SANITIZE STREQUAL "thread")
  list(APPEND WEFT_TEST_ENVIRONMENT
       "TSAN_OPTIONS=suppressions=${CMAKE_SOURCE_DIR}/tests/tsan.supp:halt_on_error=1:second_deadlock_stack=1"
       OMP_NUM_THREADS=1)
elseif(WEFT_SANITIZE MATCHES "address")
  list(APPEND WEFT_TEST_ENVIRONMENT
       "LSAN_OPTIONS=suppressions=${CMAKE_SOURCE_DIR}/tests/lsan.supp:print_suppressions=0"
       UBSAN_OPTIONS=print_stacktrace=1)
endif()

# How tests start ranks, in the environment above, which has every option. Empty without MPI: tests of
# programs then take `weft launch`.
set(WEFT_TEST_MPIRUN "")
if(TARGET weft_mpi)
  set(WEFT_TEST_MPIRUN ${MPIEXEC_EXECUTABLE})
endif()

# How tests start ranks without MPI.
set(WEFT_TEST_ENV_RANKS ${CMAKE_SOURCE_DIR}/tests/support/env_ranks.py)

# weft_job_tests(DIR NP): one GoogleTest program from every *_test.cpp directly in tests/DIR
# with the main of tests/support/job_main.cpp, run as one test on NP processes over TCP, and as one
# under `mpirun -np NP` in builds that have MPI. A second call with another NP runs the same program
# again.
function(weft_job_tests dir np)
  string(REPLACE "/" "_" name ${dir})
  if(NOT TARGET test_${name})
    file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/${dir}/*_test.cpp)
    add_executable(test_${name} ${sources} ${CMAKE_SOURCE_DIR}/tests/support/job_main.cpp)
    target_compile_options(test_${name} PRIVATE ${WEFT_TEST_OPTIMIZATION})
    weft_layers(layers tests/support)
    target_link_libraries(test_${name} PRIVATE weft_flags ${layers} GTest::gtest GTest::gmock)
    target_precompile_headers(test_${name} REUSE_FROM weft_precompiled_tests)
    target_compile_definitions(test_${name} PRIVATE
      WEFT_SOURCE_DIR="${CMAKE_SOURCE_DIR}" WEFT_SHARED_DATA="${WEFT_SHARED_DATA}")
  endif()
  add_test(NAME ${dir}/tcp${np} COMMAND ${WEFT_TEST_ENV_RANKS} ${np} $<TARGET_FILE:test_${name}>)
  set(tests ${dir}/tcp${np})
  if(TARGET weft_mpi)
    add_test(NAME ${dir}/mpi${np}
      COMMAND ${WEFT_TEST_MPIRUN} -np ${np} $<TARGET_FILE:test_${name}>)
    set_tests_properties(${dir}/mpi${np} PROPERTIES LABELS mpi)
    list(APPEND tests ${dir}/mpi${np})
  endif()
  set_tests_properties(${tests} PROPERTIES TIMEOUT 300 PROCESSORS ${np}
                       ENVIRONMENT "${WEFT_TEST_ENVIRONMENT}")
endfunction()

# weft_program_test(NAME SECONDS [MPIRUN] [TWO_CORES] [ALONE] [ARGUMENTS...]): the test launch/NAME, which
# is tests/launch/NAME_test.py with the program, ARGUMENTS and, for MPIRUN, how ranks are started. It may
# take SECONDS; ALONE beside no other test.
function(weft_program_test name seconds)
  cmake_parse_arguments(PARSE_ARGV 2 test "MPIRUN;TWO_CORES;ALONE" "" "ARGUMENTS")
  if(test_MPIRUN)
    list(APPEND test_ARGUMENTS ${WEFT_TEST_MPIRUN})
    set(label LABELS mpi)
  endif()
  if(test_TWO_CORES)
    set(cores PROCESSORS 2)
  endif()
  if(test_ALONE)
    set(alone RUN_SERIAL TRUE)
  endif()
  add_test(NAME launch/${name}
           COMMAND ${Python3_EXECUTABLE} -B ${CMAKE_SOURCE_DIR}/tests/launch/${name}_test.py
                   $<TARGET_FILE:weft> ${test_ARGUMENTS})
  set_tests_properties(launch/${name} PROPERTIES TIMEOUT ${seconds} ${label} ${cores} ${alone}
                       ENVIRONMENT "${WEFT_TEST_ENVIRONMENT}")
endfunction()
