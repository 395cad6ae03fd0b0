#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/metrics/registry.h"
#include "common/nn/safetensors.h"

namespace tandem::training {

/// Keeps a trainer's state in `state_dir`/checkpoint.safetensors, written atomically, so that a
/// restart goes on from there. A checkpoint that cannot be written or read never ends training: it
/// is logged and counted, and is the trouble "checkpoint" (common/base/trouble.h) until one is
/// written. Not thread-safe. The clock outlives it.
class Checkpointer {
 public:
  struct Options {
    std::string state_dir;                        ///< Empty: nothing is ever written.
    absl::Duration interval = absl::Seconds(20);  ///< Between checkpoints.
    std::string metric_prefix;                    ///< Such as "tandem_model_trainer".
  };

  Checkpointer(Options options, Clock& clock, metrics::Registry& metrics);

  /// Whether there is a folder and an interval has passed since the last Save, or the start.
  bool Due() const;
  /// Writes the file. Blocks on the disk. A failure is logged and counted, and its status returned.
  absl::Status Save(const nn::TensorFile& state);
  /// The last checkpoint; nothing where there is none. One that cannot be read is logged and
  /// counted in one line, and is nothing, too.
  std::optional<nn::TensorFile> Load();
  /// Logs and counts a checkpoint whose contents the learner refused.
  void Refused(const absl::Status& why);

  const std::string& path() const { return path_; }

 private:
  const Options options_;
  const std::string path_;
  Clock& clock_;
  absl::Duration last_;
  metrics::Counter& saved_;
  metrics::Counter& failed_;
  metrics::Counter& refused_;
};

}  // namespace tandem::training
