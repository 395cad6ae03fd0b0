#include "common/training/checkpointer.h"

#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "common/base/files.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "common/base/trouble.h"

namespace tandem::training {
namespace {

constexpr char kTopic[] = "checkpoint";

absl::Status Write(const std::string& dir, const std::string& path, const nn::TensorFile& state) {
  TANDEM_RETURN_IF_ERROR(MakeDirs(dir));
  TANDEM_ASSIGN_OR_RETURN(const std::string bytes, nn::WriteSafetensors(state));
  return WriteFileAtomically(path, bytes);
}

}  // namespace

Checkpointer::Checkpointer(Options options, Clock& clock, metrics::Registry& metrics)
    : options_(std::move(options)),
      path_(options_.state_dir.empty() ? "" : options_.state_dir + "/checkpoint.safetensors"),
      clock_(clock),
      last_(clock.Monotonic()),
      saved_(metrics.AddCounter(options_.metric_prefix + "_checkpoints_total",
                                "Checkpoints written.")),
      failed_(metrics.AddCounter(options_.metric_prefix + "_checkpoint_failures_total",
                                 "Checkpoints that could not be written.")),
      refused_(metrics.AddCounter(options_.metric_prefix + "_checkpoints_refused_total",
                                  "Checkpoints that could not be restored at the start.")) {}

bool Checkpointer::Due() const {
  return !path_.empty() && clock_.Monotonic() - last_ >= options_.interval;
}

absl::Status Checkpointer::Save(const nn::TensorFile& state) {
  if (path_.empty()) return absl::OkStatus();
  last_ = clock_.Monotonic();
  const absl::Status status = Write(options_.state_dir, path_, state);
  if (status.ok()) {
    saved_.Increment();
    ClearTrouble(kTopic);
  } else {
    failed_.Increment();
    LogError(absl::StrCat("no checkpoint written, training goes on: ", status.ToString()));
    SetTrouble(kTopic, absl::StrCat("no checkpoint is written: ", std::string(status.message())));
  }
  return status;
}

std::optional<nn::TensorFile> Checkpointer::Load() {
  if (path_.empty()) return std::nullopt;
  const absl::StatusOr<std::string> bytes = ReadFile(path_);
  if (absl::IsNotFound(bytes.status())) return std::nullopt;
  if (!bytes.ok()) {
    Refused(bytes.status());
    return std::nullopt;
  }
  absl::StatusOr<nn::TensorFile> state = nn::ReadSafetensors(*bytes);
  if (!state.ok()) {
    Refused(state.status());
    return std::nullopt;
  }
  return *std::move(state);
}

void Checkpointer::Refused(const absl::Status& why) {
  refused_.Increment();
  LogError(absl::StrCat("refused ", path_, ", starting afresh: ", why.ToString()));
}

}  // namespace tandem::training
