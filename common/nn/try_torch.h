#pragma once

#include <exception>
#include <string>
#include <utility>

#include "absl/status/status.h"

namespace tandem::nn {

/// Runs `body`, which computes with LibTorch, and turns what it throws into INTERNAL with the first
/// line of the message (LibTorch appends a stack trace).
template <typename Body>
absl::Status TryTorch(Body&& body) {
  try {
    return std::forward<Body>(body)();
  } catch (const std::exception& error) {
    std::string message = error.what();
    return absl::InternalError("tensor operation: " + message.substr(0, message.find('\n')));
  }
}

}  // namespace tandem::nn
