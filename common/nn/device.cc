#include "common/nn/device.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>

#include "absl/strings/str_cat.h"
#include "common/nn/try_torch.h"

namespace tandem::nn {

absl::Status ConfigureThreads(int threads) {
  if (threads < 1) {
    return absl::InvalidArgumentError(absl::StrCat("threads: expected at least 1, got ", threads));
  }
  const absl::Status status = TryTorch([&] {
    at::set_num_threads(threads);
    if (at::get_num_interop_threads() != 1) at::set_num_interop_threads(1);
    at::globalContext().setFlushDenormal(true);
    return absl::OkStatus();
  });
  if (!status.ok()) return absl::FailedPreconditionError(std::string(status.message()));
  return absl::OkStatus();
}

int Threads() { return at::get_num_threads(); }

absl::Status ResolveDevice(const std::string& wanted, std::string* device) {
  const bool has_cuda = at::hasCUDA();
  if (wanted == "cpu") {
    *device = "cpu";
  } else if (wanted == "auto") {
    *device = has_cuda ? "cuda" : "cpu";
  } else if (wanted == "cuda") {
    if (!has_cuda)
      return absl::FailedPreconditionError("device \"cuda\": no CUDA device was found");
    *device = "cuda";
  } else {
    return absl::InvalidArgumentError(
        absl::StrCat("device: expected cpu, cuda or auto, got \"", wanted, "\""));
  }
  return absl::OkStatus();
}

}  // namespace tandem::nn
