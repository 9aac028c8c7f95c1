# Every library comes from the distribution by package name; launch/install lists the packages.

find_package(Threads REQUIRED)
find_package(OpenMP REQUIRED COMPONENTS CXX)
target_compile_options(weft_flags INTERFACE ${OpenMP_CXX_FLAGS})  # of all, for precompiled.cmake
find_package(fmt REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(CLI11 REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(HDF5 REQUIRED COMPONENTS C)
find_package(PkgConfig REQUIRED)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)

# The library's own dispatch takes the widest vector unit of the machine that runs, where it was built
# with it (Debian and Ubuntu on x86-64 do); compiling its headers for the machine that builds would not.
include(CheckCXXSourceCompiles)
set(CMAKE_REQUIRED_LIBRARIES PkgConfig::XXHASH)
check_cxx_source_compiles("#include <xxh_x86dispatch.h>
int main() { return static_cast<int>(XXH3_128bits(\"\", 0).low64); }" WEFT_XXH_DISPATCH)
unset(CMAKE_REQUIRED_LIBRARIES)

pkg_check_modules(PCRE2 REQUIRED IMPORTED_TARGET libpcre2-8)

# dnnl's own package file insists on OpenCL headers, which the CPU build does not use.
find_path(DNNL_INCLUDE_DIR dnnl.h REQUIRED)
find_library(DNNL_LIBRARY dnnl REQUIRED)
add_library(weft_dnnl INTERFACE)
target_include_directories(weft_dnnl SYSTEM INTERFACE ${DNNL_INCLUDE_DIR})
target_link_libraries(weft_dnnl INTERFACE ${DNNL_LIBRARY})

add_library(weft_hdf5 INTERFACE)
target_include_directories(weft_hdf5 SYSTEM INTERFACE ${HDF5_INCLUDE_DIRS})
target_link_libraries(weft_hdf5 INTERFACE ${HDF5_LIBRARIES})

# Without MPI, ranks find each other over TCP.
set(WEFT_MPI "AUTO" CACHE STRING "Ranks under mpirun: AUTO where MPI is found, ON or OFF")
set_property(CACHE WEFT_MPI PROPERTY STRINGS AUTO ON OFF)
if(NOT WEFT_MPI MATCHES "^(AUTO|ON|OFF)$")
  message(FATAL_ERROR "WEFT_MPI=${WEFT_MPI}: it is AUTO, ON or OFF")
endif()
if(WEFT_MPI STREQUAL "ON")
  find_package(MPI REQUIRED COMPONENTS CXX)
elseif(WEFT_MPI STREQUAL "AUTO")
  find_package(MPI QUIET COMPONENTS CXX)
  if(NOT MPI_CXX_FOUND)
    message(NOTICE "No MPI found: ranks are started by `weft launch`, not by mpirun (-DWEFT_MPI=ON insists)")
  endif()
endif()
if(MPI_CXX_FOUND AND NOT WEFT_MPI STREQUAL "OFF")
  add_library(weft_mpi INTERFACE)
  target_include_directories(weft_mpi SYSTEM INTERFACE ${MPI_CXX_INCLUDE_DIRS})
  target_compile_definitions(weft_mpi INTERFACE OMPI_SKIP_MPICXX MPICH_SKIP_MPICXX)
  target_link_libraries(weft_mpi INTERFACE ${MPI_CXX_LIBRARIES})
endif()

if(WEFT_TESTS)
  find_package(GTest REQUIRED)
endif()
if(WEFT_BENCHMARKS)
  find_package(benchmark REQUIRED)
endif()
