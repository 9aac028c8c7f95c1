// The functions of NCCL and of the CUDA runtime that communicators call, as a table: NCCL is opened
// at run time, and tests put their own functions in.
#pragma once

#include <cuda_runtime_api.h>
#include <nccl.h>

#include <functional>
#include <memory>

#include "core/device/device.h"

namespace weft {

// NCCL's have the names and types of nccl.h without their prefix.
struct NcclApi {
  decltype(ncclGetVersion)* get_version;
  decltype(ncclGetUniqueId)* get_unique_id;
  decltype(ncclGetErrorString)* error_string;
  decltype(ncclGetLastError)* last_error;
  decltype(ncclCommInitRankConfig)* init_rank;
  decltype(ncclCommGetAsyncError)* async_error;
  decltype(ncclCommFinalize)* finalize;
  decltype(ncclCommDestroy)* destroy;
  decltype(ncclCommAbort)* abort;
  decltype(ncclAllReduce)* all_reduce;
  decltype(ncclReduceScatter)* reduce_scatter;
  decltype(ncclAllGather)* all_gather;
  decltype(ncclBroadcast)* broadcast;
  decltype(ncclSend)* send;
  decltype(ncclRecv)* receive;
  decltype(ncclGroupStart)* group_start;
  decltype(ncclGroupEnd)* group_end;

  // The device of the communicators, made current in threads of their own.
  std::function<void()> use_device;
  cudaError_t (*stream_create)(cudaStream_t*);
  cudaError_t (*stream_destroy)(cudaStream_t);
  cudaError_t (*event_create)(cudaEvent_t*, unsigned flags);
  cudaError_t (*event_destroy)(cudaEvent_t);
  cudaError_t (*event_record)(cudaEvent_t, cudaStream_t);
  cudaError_t (*event_query)(cudaEvent_t);
  cudaError_t (*allocate)(void**, size_t bytes);
  cudaError_t (*release)(void*);
  cudaError_t (*copy)(void* to, const void* from, size_t bytes, cudaStream_t);  // device to device
  cudaStream_t (*stream_of)(Stream&);

  std::shared_ptr<void> library;  // keeps NCCL open
};

// Whether the ranks of this job share GPUs, as the device was told.
bool several_on_one_gpu(Device& device);

// NCCL as the system or the build's machine has it, for a device that outlives it. Throws
// Error{environment}.
NcclApi open_nccl(Device& device);

}  // namespace weft
