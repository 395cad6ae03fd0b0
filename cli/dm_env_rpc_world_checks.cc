#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "cli/dm_env_rpc_checker.h"
#include "cli/env_checks.h"
#include "common/base/status_macros.h"

namespace tandem::cli {
namespace {

using Checker = DmEnvRpcChecker;
using Needs = DmEnvRpcCheck::Needs;
using Use = SpaceLayout::Use;

constexpr const char* kNobody = "a world that nobody created";

Checker::Request Joining(const std::string& world) {
  Checker::Request request;
  request.mutable_join_world()->set_world_name(world);
  return request;
}

/// A setting that no world has.
clients::DmEnvRpcSettings WithOddSetting(clients::DmEnvRpcSettings settings) {
  settings["a setting that there is not"].mutable_int32s()->add_array(-1);
  return settings;
}

// Creating and destroying.

absl::Status CreatesAndDestroys(Checker& server) {
  TANDEM_ASSIGN_OR_RETURN(const std::string world, server.Create());
  return server.Destroy(world);
}

absl::Status NeedsItsSettings(Checker& server) {
  if (server.settings().empty()) return Skip("no --arguments were given");
  for (const auto& [name, value] : server.settings()) {
    clients::DmEnvRpcSettings fewer = server.settings();
    fewer.erase(name);
    if (server.Create(fewer).ok()) return Skip(absl::StrCat("\"", name, "\" may be left out"));
  }
  return absl::OkStatus();
}

absl::Status RefusesOddSettings(Checker& server) {
  if (!server.Create(WithOddSetting(server.settings())).ok()) return absl::OkStatus();
  return Skip("the server passes over settings that it does not know");
}

absl::Status NamesAreUnique(Checker& server) {
  TANDEM_ASSIGN_OR_RETURN(const std::string first, server.Create());
  const absl::StatusOr<std::string> second = server.Create();
  if (!second.ok()) return Skip("the server has one world at a time");
  return first != *second ? absl::OkStatus() : Unexpected("another name, got ", first, " twice");
}

absl::Status DestroysNoOther(Checker& server) {
  Checker::Request request;
  request.mutable_destroy_world()->set_world_name(kNobody);
  return server.ExpectRefused(request, "destroying a world that there is not");
}

// Joining and leaving.

absl::Status JoinsNoOther(Checker& server) {
  return server.ExpectRefused(Joining(kNobody), "joining a world that there is not");
}

absl::Status JoinRefusesOddSettings(Checker& server) {
  TANDEM_ASSIGN_OR_RETURN(const std::string world, server.Create());
  Checker::Request request = Joining(world);
  *request.mutable_join_world()->mutable_settings() = WithOddSetting({});
  if (server.ExpectRefused(request, "").ok()) return absl::OkStatus();
  return Skip("the server passes over settings that it does not know");
}

absl::Status JoinsOnce(Checker& server) {
  TANDEM_RETURN_IF_ERROR(server.Join());
  return server.ExpectRefused(Joining(server.world()), "joining twice");
}

template <typename Specs>
absl::Status CheckNames(const Specs& specs) {
  std::set<std::string> names;
  for (const auto& [id, spec] : specs) {
    if (!names.insert(spec.name()).second) return Unexpected("\"", spec.name(), "\" once");
  }
  return absl::OkStatus();
}

template <typename Specs>
absl::Status CheckConsistency(const Specs& specs, Use use) {
  for (const auto& [id, spec] : specs) {
    const auto negative =
        std::count_if(spec.shape().begin(), spec.shape().end(), [](int size) { return size < 0; });
    if (negative > 1) return Unexpected("\"", spec.name(), "\" with at most one size that varies");
    const bool unsigned_wide =
        spec.dtype() == dm_env_rpc::v1::UINT32 || spec.dtype() == dm_env_rpc::v1::UINT64;
    if (negative == 1 || !IsNumber(spec) || (use == Use::kAction && unsigned_wide)) continue;
    TANDEM_ASSIGN_OR_RETURN(const SpaceLeaf leaf, clients::Decode(use, spec));
    const auto [low, high] = clients::BoundsOf(leaf);
    for (size_t i = 0; i < low.size() && i < high.size(); ++i) {
      if (low[i] > high[i]) return Unexpected("min <= max of \"", spec.name(), "\"");
    }
  }
  return absl::OkStatus();
}

absl::Status Leaves(Checker& server) { return server.Leave(); }

absl::Status JoinsAgain(Checker& server) {
  TANDEM_RETURN_IF_ERROR(server.Join());
  TANDEM_RETURN_IF_ERROR(server.Leave());
  return server.Join();
}

// Resetting.

absl::Status ExpectSameSpecs(const Checker::Specs& expected, const Checker::Specs& got) {
  const auto same = [](const auto& a, const auto& b) {
    return a.size() == b.size() && std::all_of(a.begin(), a.end(), [&b](const auto& entry) {
             const auto found = b.find(entry.first);
             return found != b.end() &&
                    found->second.SerializeAsString() == entry.second.SerializeAsString();
           });
  };
  return same(expected.actions(), got.actions()) &&
                 same(expected.observations(), got.observations())
             ? absl::OkStatus()
             : Unexpected("the specs of the join, got others");
}

absl::Status ResetSendsSpecs(Checker& server) {
  TANDEM_RETURN_IF_ERROR(server.Join());
  TANDEM_ASSIGN_OR_RETURN(const Checker::Specs specs, server.Reset());
  return ExpectSameSpecs(server.specs(), specs);
}

absl::Status ResetsOnlyJoined(Checker& server) {
  Checker::Request request;
  request.mutable_reset();
  return server.ExpectRefused(request, "a reset without joining");
}

absl::Status ResetsTwice(Checker& server) {
  TANDEM_RETURN_IF_ERROR(server.Join());
  TANDEM_RETURN_IF_ERROR(server.Reset().status());
  TANDEM_ASSIGN_OR_RETURN(const Checker::Specs specs, server.Reset());
  return ExpectSameSpecs(server.specs(), specs);
}

absl::Status ResetsNoOtherWorld(Checker& server) {
  Checker::Request request;
  request.mutable_reset_world()->set_world_name(kNobody);
  return server.ExpectRefused(request, "resetting a world that there is not");
}

absl::Status ResetsWorldNotJoined(Checker& server) {
  TANDEM_ASSIGN_OR_RETURN(const std::string world, server.Create());
  return server.ResetWorld(world);
}

absl::Status ResetsWorldJoined(Checker& server) {
  TANDEM_RETURN_IF_ERROR(server.Join());
  return server.ResetWorld(server.world());
}

absl::Status Joins(Checker& server) { return server.Join(); }

absl::Status ActionNamesAreUnique(Checker& server) { return CheckNames(server.specs().actions()); }

absl::Status ActionSpecsMakeSense(Checker& server) {
  return CheckConsistency(server.specs().actions(), Use::kAction);
}

absl::Status ObservationNamesAreUnique(Checker& server) {
  return CheckNames(server.specs().observations());
}

absl::Status ObservationSpecsMakeSense(Checker& server) {
  return CheckConsistency(server.specs().observations(), Use::kObservation);
}

const DmEnvRpcCheck kChecks[] = {
    {"create_world: creates and destroys", Needs::kConnection, CreatesAndDestroys},
    {"create_world: needs the settings that it needs", Needs::kConnection, NeedsItsSettings},
    {"create_world: refuses wrong settings", Needs::kConnection, RefusesOddSettings},
    {"create_world: names are unique", Needs::kConnection, NamesAreUnique},
    {"destroy_world: refuses other names", Needs::kConnection, DestroysNoOther},
    {"join_world: joins", Needs::kConnection, Joins},
    {"join_world: refuses other names", Needs::kConnection, JoinsNoOther},
    {"join_world: refuses wrong settings", Needs::kConnection, JoinRefusesOddSettings},
    {"join_world: joins once", Needs::kConnection, JoinsOnce},
    {"join_world: names of actions are unique", Needs::kJoined, ActionNamesAreUnique},
    {"join_world: specs of actions make sense", Needs::kJoined, ActionSpecsMakeSense},
    {"join_world: names of observations are unique", Needs::kJoined, ObservationNamesAreUnique},
    {"join_world: specs of observations make sense", Needs::kJoined, ObservationSpecsMakeSense},
    {"leave_world: leaves without joining", Needs::kConnection, Leaves},
    {"leave_world: leaves", Needs::kJoined, Leaves},
    {"leave_world: can be joined again", Needs::kConnection, JoinsAgain},
    {"reset: sends the specs again", Needs::kConnection, ResetSendsSpecs},
    {"reset: refused without joining", Needs::kConnection, ResetsOnlyJoined},
    {"reset: can follow a reset", Needs::kConnection, ResetsTwice},
    {"reset_world: refuses other names", Needs::kConnection, ResetsNoOtherWorld},
    {"reset_world: without joining", Needs::kConnection, ResetsWorldNotJoined},
    {"reset_world: when joined", Needs::kConnection, ResetsWorldJoined},
};

}  // namespace

std::span<const DmEnvRpcCheck> WorldChecks() { return kChecks; }

}  // namespace tandem::cli
