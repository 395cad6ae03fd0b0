#pragma once

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

/// Returns from the enclosing function with the status of `expr` unless it is OK.
#define TANDEM_RETURN_IF_ERROR(expr)                                                      \
  do {                                                                                    \
    if (::absl::Status tandem_status = (expr); !tandem_status.ok()) return tandem_status; \
  } while (false)

/// Evaluates `expr` (a StatusOr) and assigns its value to `lhs`, which may declare a variable, or
/// returns its status from the enclosing function.
///   TANDEM_ASSIGN_OR_RETURN(auto batch, Decode(message));
#define TANDEM_ASSIGN_OR_RETURN(lhs, expr) \
  TANDEM_ASSIGN_OR_RETURN_IMPL_(TANDEM_CONCAT_(tandem_or_, __LINE__), lhs, expr)

#define TANDEM_CONCAT_INNER_(a, b) a##b
#define TANDEM_CONCAT_(a, b) TANDEM_CONCAT_INNER_(a, b)
#define TANDEM_ASSIGN_OR_RETURN_IMPL_(statusor, lhs, expr) \
  auto statusor = (expr);                                  \
  if (!statusor.ok()) return std::move(statusor).status(); \
  lhs = *std::move(statusor)
