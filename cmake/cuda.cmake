# The CUDA backend. Sets WEFT_HAS_CUDA and, where the headers of the cuDNN frontend are there too,
# WEFT_HAS_CUDNN; makes the target weft_cuda_headers.
#
# Nothing but the static CUDA runtime is linked: libcuda, cuBLASLt and cuDNN are opened when a GPU is
# used, so that the program starts on a machine without them, and loads no gigabyte of kernels
# where nobody asked for a GPU (docs/decisions/0016).

set(WEFT_CUDA "AUTO" CACHE STRING "The CUDA backend: AUTO where the toolkit and a GPU are found, ON or OFF")
set_property(CACHE WEFT_CUDA PROPERTY STRINGS AUTO ON OFF)
set(WEFT_CUDA_ARCHITECTURE "" CACHE STRING
    "Compute capability that kernels are compiled for (90a, 80, ...); empty for this machine's GPU, 90a without one")
set(WEFT_CUDA_ROOT "" CACHE PATH "Folder of the CUDA toolkit; empty to look in the usual places")
set(WEFT_HAS_CUDA FALSE)
set(WEFT_HAS_NCCL FALSE)
set(WEFT_HAS_CUDNN FALSE)

# What the kernels are compiled for: the first GPU of this machine, 90a (H100, H200) without one.
function(weft_default_architecture out)
  find_program(WEFT_NVIDIA_SMI nvidia-smi)
  set(capability "")
  if(WEFT_NVIDIA_SMI)
    execute_process(COMMAND ${WEFT_NVIDIA_SMI} --query-gpu=compute_cap --format=csv,noheader
                    OUTPUT_VARIABLE answer ERROR_QUIET)
    string(REGEX MATCH "^[0-9]+\\.[0-9]" capability "${answer}")
    string(REPLACE "." "" capability "${capability}")
  endif()
  if(capability STREQUAL "" OR capability STREQUAL "90")
    set(capability 90a)
  endif()
  set(${out} ${capability} PARENT_SCOPE)
endfunction()

if(NOT WEFT_CUDA MATCHES "^(AUTO|ON|OFF)$")
  message(FATAL_ERROR "WEFT_CUDA=${WEFT_CUDA}: it is AUTO, ON or OFF")
endif()
if(NOT WEFT_CUDA STREQUAL "OFF")
  set(roots ${WEFT_CUDA_ROOT} $ENV{CUDA_HOME} $ENV{CUDA_PATH} /usr/local/cuda)
  find_program(WEFT_NVCC nvcc HINTS ${roots} PATH_SUFFIXES bin)
  set(toolkit_include "")
  if(WEFT_NVCC)
    get_filename_component(nvcc_real ${WEFT_NVCC} REALPATH)
    get_filename_component(toolkit ${nvcc_real} DIRECTORY)
    get_filename_component(toolkit ${toolkit} DIRECTORY)
    list(PREPEND roots ${toolkit})
  endif()
  find_path(WEFT_CUBLASLT_INCLUDE cublasLt.h HINTS ${roots} PATH_SUFFIXES include)
  find_path(WEFT_CUDART_INCLUDE cuda_runtime_api.h HINTS ${roots} PATH_SUFFIXES include)
  find_library(WEFT_CUDART cudart_static HINTS ${roots} PATH_SUFFIXES lib64 lib)
  set(missing "")
  foreach(part "WEFT_NVCC=nvcc" "WEFT_CUDART_INCLUDE=cuda_runtime_api.h"
               "WEFT_CUDART=libcudart_static.a" "WEFT_CUBLASLT_INCLUDE=cublasLt.h")
    string(REGEX MATCH "^[^=]+" variable "${part}")
    string(REGEX REPLACE "^[^=]+=" "" file "${part}")
    if(NOT ${variable})
      list(APPEND missing ${file})
    endif()
  endforeach()
  string(REPLACE ";" ", " missing "${missing}")
  # Whoever builds where no GPU is seldom wants to wait for kernels; a login node says so.
  file(GLOB gpus /dev/nvidia[0-9]* /dev/dxg)
  if(missing STREQUAL "" AND (gpus OR WEFT_CUDA STREQUAL "ON"))
    set(WEFT_HAS_CUDA TRUE)
  elseif(missing STREQUAL "")
    message(STATUS "weft: CPU only; the CUDA toolkit is here, but no GPU: -DWEFT_CUDA=ON builds for it")
  elseif(WEFT_CUDA STREQUAL "ON")
    message(FATAL_ERROR "WEFT_CUDA=ON, but these parts of the CUDA toolkit are missing: ${missing}. "
                        "Install CUDA 12.8 or later with cuBLAS, or name its folder: "
                        "-DWEFT_CUDA_ROOT=DIR")
  else()
    message(STATUS "weft: CPU only, no CUDA backend (missing: ${missing})")
  endif()
endif()

if(WEFT_HAS_CUDA)
  if(WEFT_CUDA_ARCHITECTURE STREQUAL "")
    weft_default_architecture(CMAKE_CUDA_ARCHITECTURES)
  else()
    set(CMAKE_CUDA_ARCHITECTURES ${WEFT_CUDA_ARCHITECTURE})
  endif()
  set(CMAKE_CUDA_COMPILER ${WEFT_NVCC})
  enable_language(CUDA)
  if(CMAKE_CUDA_COMPILER_VERSION VERSION_LESS 12.8)
    message(FATAL_ERROR "nvcc ${CMAKE_CUDA_COMPILER_VERSION} is too old, 12.8 or later is needed; "
                        "or build without: -DWEFT_CUDA=OFF")
  endif()
  if(NOT DEFINED CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake 3.25 does not know that nvcc can
    set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
    set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION "-std=c++20")
  endif()
  set(CMAKE_CUDA_STANDARD 20)
  set(CMAKE_CUDA_STANDARD_REQUIRED ON)
  if(WEFT_CCACHE)
    set(CMAKE_CUDA_COMPILER_LAUNCHER ${WEFT_CCACHE})
  endif()
  # One set of flags for every build type, so that all of them share what ccache holds.
  foreach(type DEBUG RELEASE RELWITHDEBINFO)
    set(CMAKE_CUDA_FLAGS_${type} "-O3 -DNDEBUG")
  endforeach()

  # Where cuBLASLt and cuDNN are looked for at run time, after the system's own places.
  get_filename_component(WEFT_CUDA_LIBRARIES ${WEFT_CUDART} DIRECTORY)

  add_library(weft_cuda_headers INTERFACE)
  target_include_directories(weft_cuda_headers SYSTEM INTERFACE ${WEFT_CUDART_INCLUDE}
                                                                ${WEFT_CUBLASLT_INCLUDE})
  find_path(WEFT_CUDNN_INCLUDE cudnn.h HINTS ${roots} PATH_SUFFIXES include)
  find_path(WEFT_CUDNN_FRONTEND_INCLUDE cudnn_frontend.h
            HINTS $ENV{WEFT_CUDNN_FRONTEND} ${CMAKE_SOURCE_DIR}/.cache/cudnn-frontend
            PATH_SUFFIXES include)
  if(WEFT_CUDNN_INCLUDE AND WEFT_CUDNN_FRONTEND_INCLUDE)
    set(WEFT_HAS_CUDNN TRUE)
    add_library(weft_cudnn_headers INTERFACE)
    target_include_directories(weft_cudnn_headers SYSTEM INTERFACE ${WEFT_CUDNN_INCLUDE}
                                                                   ${WEFT_CUDNN_FRONTEND_INCLUDE})
    set(attention "cuDNN")
  else()
    set(attention "weft's own kernel (no cuDNN frontend headers: launch/install --cuda)")
  endif()
  find_path(WEFT_NCCL_INCLUDE nccl.h HINTS ${roots} PATH_SUFFIXES include)
  if(WEFT_NCCL_INCLUDE)
    set(WEFT_HAS_NCCL TRUE)
    add_library(weft_nccl_headers INTERFACE)
    target_include_directories(weft_nccl_headers SYSTEM INTERFACE ${WEFT_NCCL_INCLUDE})
  else()
    message(NOTICE "No nccl.h found: a GPU job has one rank")
  endif()
  message(STATUS "weft: CUDA ${CMAKE_CUDA_COMPILER_VERSION} for sm_${CMAKE_CUDA_ARCHITECTURES}, "
                 "attention by ${attention}")
endif()

# weft_kernels(NAME DIR DEPS...): the object library NAME from every .cu directly in DIR. A kernel
# that spills registers or keeps an array in local memory does not compile.
function(weft_kernels name dir)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${dir}/*.cu)
  add_library(${name} OBJECT ${sources})
  target_include_directories(${name} PUBLIC ${CMAKE_SOURCE_DIR})
  target_link_libraries(${name} PUBLIC weft_cuda_headers ${WEFT_CUDART} Threads::Threads
                                       ${CMAKE_DL_LIBS} rt ${ARGN})
  target_compile_options(${name} PRIVATE --expt-relaxed-constexpr
    "SHELL:-Xptxas --warn-on-spills,--warn-on-local-memory-usage,-Werror"
    "SHELL:-Werror all-warnings" "SHELL:-Xcompiler -Wall,-Wextra,-Wno-unknown-pragmas")
endfunction()
