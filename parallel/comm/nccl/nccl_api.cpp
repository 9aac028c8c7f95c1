#include "parallel/comm/nccl/nccl_api.h"

#include "core/device/cuda/cuda_device.h"
#include "core/ops/cuda/dynamic_library.h"

namespace weft {

bool several_on_one_gpu(Device& device) {
  return cuda_device(device).options().ranks_per_device > 1;
}

NcclApi open_nccl(Device& device) {
  const auto library = std::make_shared<DynamicLibrary>("libnccl.so.2", WEFT_CUDA_LIBRARIES);
  NcclApi api{};
  library->find("ncclGetVersion", api.get_version);
  library->find("ncclGetUniqueId", api.get_unique_id);
  library->find("ncclGetErrorString", api.error_string);
  library->find("ncclGetLastError", api.last_error);
  library->find("ncclCommInitRankConfig", api.init_rank);
  library->find("ncclCommGetAsyncError", api.async_error);
  library->find("ncclCommFinalize", api.finalize);
  library->find("ncclCommDestroy", api.destroy);
  library->find("ncclCommAbort", api.abort);
  library->find("ncclAllReduce", api.all_reduce);
  library->find("ncclReduceScatter", api.reduce_scatter);
  library->find("ncclAllGather", api.all_gather);
  library->find("ncclBroadcast", api.broadcast);
  library->find("ncclSend", api.send);
  library->find("ncclRecv", api.receive);
  library->find("ncclGroupStart", api.group_start);
  library->find("ncclGroupEnd", api.group_end);
  api.use_device = [&gpu = cuda_device(device)] { gpu.use(); };
  api.stream_create = [](cudaStream_t* stream) {
    return cudaStreamCreateWithFlags(stream, cudaStreamNonBlocking);
  };
  api.stream_destroy = [](cudaStream_t stream) { return cudaStreamDestroy(stream); };
  api.event_create = [](cudaEvent_t* event, unsigned flags) {
    return cudaEventCreateWithFlags(event, flags);
  };
  api.event_destroy = [](cudaEvent_t event) { return cudaEventDestroy(event); };
  api.event_record = [](cudaEvent_t event, cudaStream_t stream) {
    return cudaEventRecord(event, stream);
  };
  api.event_query = [](cudaEvent_t event) { return cudaEventQuery(event); };
  api.allocate = [](void** memory, size_t bytes) { return cudaMalloc(memory, bytes); };
  api.release = [](void* memory) { return cudaFree(memory); };
  api.copy = [](void* to, const void* from, size_t bytes, cudaStream_t stream) {
    return cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream);
  };
  api.stream_of = [](Stream& stream) { return cuda_stream(stream).handle(); };
  api.library = library;
  return api;
}

}  // namespace weft
