#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>

#include "absl/strings/match.h"
#include "cli/dm_env_rpc_checker.h"
#include "cli/env_checks.h"
#include "common/base/status_macros.h"
#include "common/clients/dm_env_rpc_elements.h"

namespace tandem::cli {
namespace {

using dm_env_rpc::v1::Tensor;
using dm_env_rpc::v1::TensorSpec;
using Checker = DmEnvRpcChecker;
using Needs = DmEnvRpcCheck::Needs;
using Use = SpaceLayout::Use;

/// An id that is none of these.
template <typename Map>
uint64_t FreeId(const Map& map) {
  uint64_t id = 0;
  while (map.contains(id)) ++id;
  return id;
}

// Observing.

absl::Status ExpectObserved(const dm_env_rpc::v1::StepResponse& step,
                            const std::vector<uint64_t>& ids) {
  if (static_cast<size_t>(step.observations().size()) != ids.size()) {
    return Unexpected(ids.size(), " observations, got ", step.observations().size());
  }
  for (const uint64_t id : ids) {
    if (!step.observations().contains(id)) return Unexpected("observation ", id, ", got none");
  }
  return absl::OkStatus();
}

absl::Status ObservesNothingUnasked(Checker& server) {
  TANDEM_ASSIGN_OR_RETURN(const auto step, server.Step());
  return ExpectObserved(step, {});
}

absl::Status ObservesAll(Checker& server) {
  TANDEM_ASSIGN_OR_RETURN(const auto step, server.Step({}, server.ObservationIds()));
  return ExpectObserved(step, server.ObservationIds());
}

absl::Status RefusesOddObservation(Checker& server) {
  const uint64_t id = FreeId(server.specs().observations());
  Checker::Request request;
  request.mutable_step()->add_requested_observations(id);
  TANDEM_RETURN_IF_ERROR(server.ExpectRefused(request, absl::StrCat("observation ", id)));
  if (absl::StrContains(server.refusal(), std::to_string(id))) return absl::OkStatus();
  return Unexpected("an error that names observation ", id, ", got: ", server.refusal());
}

/// Calls check(leaf, row) with each observation of numbers.
template <typename Check>
absl::Status EachObservation(Checker& server, const Check& check) {
  TANDEM_ASSIGN_OR_RETURN(const auto step, server.Step({}, server.ObservationIds()));
  for (const auto& [id, tensor] : step.observations()) {
    const TensorSpec& spec = server.specs().observations().at(id);
    const absl::StatusOr<SpaceLeaf> leaf = clients::Decode(Use::kObservation, spec);
    if (!leaf.ok()) continue;  // of text, or of a size that varies
    std::string row;
    TANDEM_RETURN_IF_ERROR(clients::Decode(tensor, spec.dtype(), *leaf, &row));
    TANDEM_RETURN_IF_ERROR(check(*leaf, row));
  }
  return absl::OkStatus();
}

absl::Status ObservationsHaveTheirTypes(Checker& server) {
  return EachObservation(server,
                         [](const SpaceLeaf&, const std::string&) { return absl::OkStatus(); });
}

absl::Status ObservationsAreInRange(Checker& server) {
  return EachObservation(server, [](const SpaceLeaf& leaf, const std::string& row) {
    return clients::CheckBounds(leaf, row);
  });
}

absl::Status ObservesOnceWhatIsAskedTwice(Checker& server) {
  std::vector<uint64_t> twice = server.ObservationIds();
  const std::vector<uint64_t> once = twice;
  twice.insert(twice.end(), once.begin(), once.end());
  TANDEM_ASSIGN_OR_RETURN(const auto step, server.Step({}, twice));
  return ExpectObserved(step, once);
}

absl::Status ObservesEachAlone(Checker& server) {
  for (const uint64_t id : server.ObservationIds()) {
    TANDEM_ASSIGN_OR_RETURN(const auto step, server.Step({}, {id}));
    TANDEM_RETURN_IF_ERROR(ExpectObserved(step, {id}));
  }
  return absl::OkStatus();
}

// Acting.

/// One action, and numbers that it takes: its lower bounds, or 0 where there are none.
struct Action {
  uint64_t id;
  SpaceLeaf leaf;
  std::vector<double> low, high;  // one for each element
  std::vector<double> fits;

  Tensor Pack(const std::vector<double>& numbers) const {
    Tensor tensor;
    clients::Encode(leaf, clients::RowOf(leaf.type, numbers), &tensor);
    return tensor;
  }
};

/// The actions of numbers with fixed sizes.
std::vector<Action> ActionsOf(const Checker& server) {
  std::vector<Action> actions;
  for (const auto& [id, spec] : server.specs().actions()) {
    absl::StatusOr<SpaceLeaf> leaf = clients::Decode(Use::kAction, spec);
    if (!leaf.ok()) continue;
    Action action{id, *std::move(leaf)};
    std::tie(action.low, action.high) = clients::BoundsOf(action.leaf);
    const size_t elements = static_cast<size_t>(action.leaf.elements());
    action.low.resize(elements, action.low[0]);
    action.high.resize(elements, action.high[0]);
    for (size_t i = 0; i < elements; ++i) {
      const bool bounded = std::isfinite(action.low[i]);
      action.fits.push_back(bounded ? action.low[i] : std::min(0.0, action.high[i]));
    }
    actions.push_back(std::move(action));
  }
  return actions;
}

absl::Status FirstStepIgnoresActions(Checker& server) {
  Tensor zero;
  zero.mutable_int32s()->add_array(0);
  return server.Step({{FreeId(server.specs().actions()), zero}}).status();
}

absl::Status TakesEachAction(Checker& server) {
  for (const Action& action : ActionsOf(server)) {
    TANDEM_RETURN_IF_ERROR(server.StepUntilRunning());
    TANDEM_RETURN_IF_ERROR(server.Step({{action.id, action.Pack(action.fits)}}).status());
  }
  return absl::OkStatus();
}

absl::Status RefusesWrongNumbers(Checker& server) {
  for (const Action& action : ActionsOf(server)) {
    Action wrong = action;
    const bool is_double = action.leaf.type == ElementType::kFloat64;
    wrong.leaf.type = is_double ? ElementType::kFloat32 : ElementType::kFloat64;
    TANDEM_RETURN_IF_ERROR(
        server.ExpectActionRefused(action.id, wrong.Pack(action.fits), "numbers of another type"));
  }
  return absl::OkStatus();
}

absl::Status RefusesNumbersForText(Checker& server) {
  bool any = false;
  for (const auto& [id, spec] : server.specs().actions()) {
    if (IsNumber(spec)) continue;
    any = true;
    Tensor zero;
    zero.mutable_int32s()->add_array(0);
    for (const int size : spec.shape()) zero.add_shape(std::max(size, 1));
    TANDEM_RETURN_IF_ERROR(server.ExpectActionRefused(id, zero, "a number where none belongs"));
  }
  return any ? absl::OkStatus() : Skip("all actions are numbers");
}

absl::Status RefusesOddAction(Checker& server) {
  Tensor zero;
  zero.mutable_int32s()->add_array(0);
  const uint64_t id = FreeId(server.specs().actions());
  return server.ExpectActionRefused(id, zero, absl::StrCat("action ", id));
}

/// Sends each action with one element out of its bounds.
absl::Status RefusesBeyond(Checker& server, bool above) {
  bool any = false;
  for (const Action& action : ActionsOf(server)) {
    const double far =
        above ? std::numeric_limits<double>::max() : std::numeric_limits<double>::lowest();
    for (size_t i = 0; i < action.fits.size(); ++i) {
      if (!std::isfinite(above ? action.high[i] : action.low[i])) continue;
      std::vector<double> numbers = action.fits;
      numbers[i] = far;
      const Tensor tensor = action.Pack(numbers);  // becomes the type's last number
      const auto sent = clients::Numbers(tensor, server.specs().actions().at(action.id).dtype());
      if ((*sent)[i] == (above ? action.high[i] : action.low[i])) continue;
      any = true;
      TANDEM_RETURN_IF_ERROR(
          server.ExpectActionRefused(action.id, tensor,
                                     absl::StrCat("element ", i, " of \"", action.leaf.name, "\" ",
                                                  above ? "above" : "below", " its bound")));
    }
  }
  return any ? absl::OkStatus() : Skip("no action has such a bound");
}

absl::Status RefusesWrongShape(Checker& server) {
  for (const Action& action : ActionsOf(server)) {
    Tensor tensor = action.Pack(action.fits);
    tensor.add_shape(1);
    TANDEM_RETURN_IF_ERROR(
        server.ExpectActionRefused(action.id, tensor, "an array of one more dimension"));
  }
  return absl::OkStatus();
}

absl::Status InfersASize(Checker& server) {
  bool any = false;
  for (const Action& action : ActionsOf(server)) {
    Tensor tensor = action.Pack(action.fits);
    if (tensor.shape_size() == 0) continue;
    any = true;
    tensor.set_shape(0, -1);
    TANDEM_RETURN_IF_ERROR(server.StepUntilRunning());
    TANDEM_RETURN_IF_ERROR(server.Step({{action.id, tensor}}).status());
  }
  return any ? absl::OkStatus() : Skip("all actions are scalars");
}

absl::Status InfersNoTwoSizes(Checker& server) {
  bool any = false;
  for (const Action& action : ActionsOf(server)) {
    Tensor tensor = action.Pack(action.fits);
    if (tensor.shape_size() < 2) continue;
    any = true;
    tensor.set_shape(0, -1);
    tensor.set_shape(1, -1);
    TANDEM_RETURN_IF_ERROR(
        server.ExpectActionRefused(action.id, tensor, "two sizes that are to be inferred"));
  }
  return any ? absl::OkStatus() : Skip("no action has two dimensions");
}

absl::Status RepeatsOneNumber(Checker& server) {
  bool any = false;
  for (const Action& action : ActionsOf(server)) {
    const double least = *std::max_element(action.fits.begin(), action.fits.end());
    if (least > *std::min_element(action.high.begin(), action.high.end())) continue;
    any = true;
    TANDEM_RETURN_IF_ERROR(server.StepUntilRunning());
    TANDEM_RETURN_IF_ERROR(server.Step({{action.id, action.Pack({least})}}).status());
  }
  return any ? absl::OkStatus() : Skip("no one number fits all elements");
}

absl::Status RefusesBelow(Checker& server) { return RefusesBeyond(server, /*above=*/false); }

absl::Status RefusesAbove(Checker& server) { return RefusesBeyond(server, /*above=*/true); }

const DmEnvRpcCheck kChecks[] = {
    {"step: observes nothing unasked", Needs::kJoined, ObservesNothingUnasked},
    {"step: observes what is asked", Needs::kJoined, ObservesAll},
    {"step: refuses other observations, by number", Needs::kJoined, RefusesOddObservation},
    {"step: observations have their types and shapes", Needs::kJoined, ObservationsHaveTheirTypes},
    {"step: observations are in range", Needs::kJoined, ObservationsAreInRange},
    {"step: observes once what is asked twice", Needs::kJoined, ObservesOnceWhatIsAskedTwice},
    {"step: observes each alone", Needs::kJoined, ObservesEachAlone},
    {"step: the first one ignores actions", Needs::kJoined, FirstStepIgnoresActions},
    {"step: takes each action alone", Needs::kRunning, TakesEachAction},
    {"step: refuses numbers of another type", Needs::kRunning, RefusesWrongNumbers},
    {"step: refuses numbers for text", Needs::kRunning, RefusesNumbersForText},
    {"step: refuses other actions", Needs::kRunning, RefusesOddAction},
    {"step: refuses actions below their bounds", Needs::kRunning, RefusesBelow},
    {"step: refuses actions above their bounds", Needs::kRunning, RefusesAbove},
    {"step: refuses another shape", Needs::kRunning, RefusesWrongShape},
    {"step: infers one size", Needs::kRunning, InfersASize},
    {"step: infers no two sizes", Needs::kRunning, InfersNoTwoSizes},
    {"step: repeats one number", Needs::kRunning, RepeatsOneNumber},
};

}  // namespace

std::span<const DmEnvRpcCheck> StepChecks() { return kChecks; }

}  // namespace tandem::cli
