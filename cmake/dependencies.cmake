# Every library comes from the distribution by package name; launch/install lists the packages.

find_package(Threads REQUIRED)
find_package(OpenMP REQUIRED COMPONENTS CXX)
find_package(MPI REQUIRED COMPONENTS CXX)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(CLI11 REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(HDF5 REQUIRED COMPONENTS C)
find_package(PkgConfig REQUIRED)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)
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

add_library(weft_mpi INTERFACE)
target_include_directories(weft_mpi SYSTEM INTERFACE ${MPI_CXX_INCLUDE_DIRS})
target_compile_definitions(weft_mpi INTERFACE OMPI_SKIP_MPICXX MPICH_SKIP_MPICXX)
target_link_libraries(weft_mpi INTERFACE ${MPI_CXX_LIBRARIES})

if(WEFT_TESTS)
  find_package(GTest REQUIRED)
endif()
if(WEFT_BENCHMARKS)
  find_package(benchmark REQUIRED)
endif()
