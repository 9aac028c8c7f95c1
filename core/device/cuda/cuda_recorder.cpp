// Recordings as CUDA graphs, captured from a stream.
#include "core/device/cuda/cuda_device.h"
#include "core/device/cuda/cuda_error.h"

namespace weft {
namespace {

class CudaRecording final : public Recording {
 public:
  // Takes over `graph`.
  CudaRecording(cudaGraph_t graph, CudaStream& stream) {
    const cudaError_t status = cudaGraphInstantiate(&handle_, graph, 0);
    cudaGraphDestroy(graph);
    check_cuda(status, "make a graph of recorded work");
    check_cuda(cudaGraphUpload(handle_, stream.handle()), "bring a graph to the GPU");
  }
  ~CudaRecording() override {
    if (handle_ != nullptr) cudaGraphExecDestroy(handle_);
  }
  CudaRecording(const CudaRecording&) = delete;
  CudaRecording& operator=(const CudaRecording&) = delete;
  void run(Stream& stream) override {
    check_cuda(cudaGraphLaunch(handle_, cuda_stream(stream).handle()), "launch a graph");
  }

 private:
  cudaGraphExec_t handle_ = nullptr;
};

class CudaRecorder final : public Recorder {
 public:
  void begin(Stream& stream) override {
    // Other threads (checkpoints, watches over collectives) go on meanwhile: theirs is not checked.
    check_cuda(
        cudaStreamBeginCapture(cuda_stream(stream).handle(), cudaStreamCaptureModeThreadLocal),
        "record a stream");
  }
  std::unique_ptr<Recording> end(Stream& stream) override {
    cudaGraph_t graph = nullptr;
    check_cuda(cudaStreamEndCapture(cuda_stream(stream).handle(), &graph),
               "end the recording of a stream");
    return std::make_unique<CudaRecording>(graph, cuda_stream(stream));
  }
};

}  // namespace

std::unique_ptr<Recorder> make_cuda_recorder() { return std::make_unique<CudaRecorder>(); }

}  // namespace weft
