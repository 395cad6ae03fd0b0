#include "services/monitor/core/judge_state.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <vector>

#include "absl/strings/str_cat.h"

namespace tandem::monitor {
namespace {

using coadaptation::Knob;
using Json = nlohmann::ordered_json;

constexpr int kFormat = 2;

// nlohmann throws on a value of another kind; JudgeStateFrom turns that into a status.
double Number(const Json& json) {
  return json.is_null() ? coadaptation::kUnknown : json.get<double>();
}

Knob KnobOf(const Json& json) {
  const std::string name = json.get<std::string>();
  const std::optional<Knob> knob = coadaptation::KnobFromName(name);
  if (!knob) throw std::invalid_argument(absl::StrCat("no knob is called ", name));
  return *knob;
}

Json From(const coadaptation::Evidence::Memory& memory) {
  return {{"state", memory.state}, {"updates", memory.updates}, {"clipped", memory.clipped}};
}

coadaptation::Evidence::Memory EvidenceOf(const Json& json) {
  coadaptation::Evidence::Memory memory;
  for (size_t i = 0; i < memory.state.size(); ++i) memory.state[i] = json.at("state").at(i);
  memory.updates = json.at("updates");
  memory.clipped = json.at("clipped");
  return memory;
}

Json From(const coadaptation::SignalEvidence::Memory& memory) {
  Json signals = Json::array();
  for (const coadaptation::Evidence::Memory& signal : memory) signals.push_back(From(signal));
  return signals;
}

coadaptation::SignalEvidence::Memory SignalsOf(const Json& json) {
  coadaptation::SignalEvidence::Memory memory;
  for (size_t i = 0; i < memory.size(); ++i) memory[i] = EvidenceOf(json.at(i));
  return memory;
}

Json From(const coadaptation::Setting& setting) {
  return {{"knob", KnobName(setting.knob)},
          {"value", setting.value},
          {"safe_value", setting.safe_value},
          {"reason", setting.reason},
          {"version", setting.version}};
}

coadaptation::Setting SettingOf(const Json& json) {
  return {KnobOf(json.at("knob")), json.at("value"), json.at("safe_value"), json.at("reason"),
          json.at("version")};
}

Json From(const std::optional<ReturnMemory>& memory) {
  if (!memory.has_value()) return nullptr;
  return {{"first", memory->scale.first},
          {"best", memory->scale.best},
          {"first_episodes", memory->scale.first_episodes},
          {"through_env_steps", memory->through_env_steps}};
}

std::optional<ReturnMemory> ReturnsOf(const Json& json) {
  if (json.is_null()) return std::nullopt;
  ReturnMemory memory;
  memory.scale.first = Number(json.at("first"));
  memory.scale.best = Number(json.at("best"));
  for (const Json& value : json.at("first_episodes")) memory.scale.first_episodes.push_back(value);
  memory.through_env_steps = json.at("through_env_steps");
  return memory;
}

template <typename Knobs>
Json NamesOf(const Knobs& knobs) {
  Json names = Json::array();
  for (const Knob knob : knobs) names.push_back(KnobName(knob));
  return names;
}

Json From(const coadaptation::Recovery& recovery) {
  Json tight = Json::object();
  for (const auto& [knob, value] : recovery.tight) tight[KnobName(knob)] = value;
  return {{"tight", tight},
          {"eased", recovery.eased ? Json(KnobName(*recovery.eased)) : Json()},
          {"returns", recovery.returns},
          {"reference", recovery.reference},
          {"updates", recovery.updates},
          {"returned", recovery.returned},
          {"lost", recovery.lost},
          {"relapses", recovery.relapses}};
}

coadaptation::Recovery RecoveryOf(const Json& json) {
  coadaptation::Recovery recovery;
  if (json.is_null()) return recovery;  // monitors before kept none
  for (const auto& [name, value] : json.at("tight").items()) {
    recovery.tight[KnobOf(name)] = value.get<double>();
  }
  if (const Json& knob = json.at("eased"); knob.is_string()) recovery.eased = KnobOf(knob);
  for (const Json& value : json.at("returns")) recovery.returns.push_back(value);
  recovery.reference = Number(json.at("reference"));
  recovery.updates = Number(json.at("updates"));
  recovery.returned = Number(json.at("returned"));
  recovery.lost = json.at("lost");
  recovery.relapses = json.at("relapses");
  if (recovery.eased && recovery.tight.count(*recovery.eased) == 0) {
    throw std::invalid_argument("a knob went back from nowhere");
  }
  return recovery;
}

Json From(const coadaptation::ControllerMemory& memory) {
  Json settings = Json::array();
  for (const auto& [knob, setting] : memory.settings) settings.push_back(From(setting));
  Json tries = Json::object();
  for (const auto& [knob, count] : memory.tries) tries[KnobName(knob)] = count;
  return {{"state", static_cast<int>(memory.state)},
          {"settings", settings},
          {"turned", NamesOf(memory.turned)},
          {"held", NamesOf(memory.held)},
          {"refused", NamesOf(memory.refused)},
          {"tries", tries},
          {"action_times", memory.action_times},
          {"cooldown", memory.cooldown},
          {"clean", memory.clean},
          {"failed", memory.failed},
          {"pending", memory.pending ? Json(KnobName(*memory.pending)) : Json()},
          {"warnings", memory.warnings},
          {"paused", memory.paused},
          {"healthy_updates", memory.healthy_updates},
          {"healthy_return", memory.healthy_return},
          {"newest_return", memory.newest_return},
          {"advised", memory.advised},
          {"recovery", From(memory.recovery)}};
}

coadaptation::ControllerState StateOf(const Json& json) {
  const int state = json;
  if (state < 1 || state > 5) throw std::invalid_argument(absl::StrCat("no state is ", state));
  return static_cast<coadaptation::ControllerState>(state);
}

coadaptation::ControllerMemory ControllerOf(const Json& json) {
  coadaptation::ControllerMemory memory;
  memory.state = StateOf(json.at("state"));
  for (const Json& entry : json.at("settings")) {
    const coadaptation::Setting setting = SettingOf(entry);
    memory.settings[setting.knob] = setting;
  }
  for (const Json& name : json.at("turned")) memory.turned.push_back(KnobOf(name));
  for (const Json& name : json.at("held")) memory.held.insert(KnobOf(name));
  for (const Json& name : json.at("refused")) memory.refused.insert(KnobOf(name));
  for (const auto& [name, count] : json.at("tries").items()) {
    memory.tries[KnobOf(name)] = count.get<int>();
  }
  for (const Json& time : json.at("action_times")) memory.action_times.push_back(time);
  memory.cooldown = json.at("cooldown");
  memory.clean = json.at("clean");
  memory.failed = json.at("failed");
  // Monitors before wrote whether there is one.
  if (const Json& knob = json.at("pending"); knob.is_string()) memory.pending = KnobOf(knob);
  memory.warnings = json.at("warnings");
  memory.paused = json.at("paused");
  memory.healthy_updates = Number(json.at("healthy_updates"));
  memory.healthy_return = Number(json.at("healthy_return"));
  memory.newest_return = Number(json.value("newest_return", Json()));
  memory.advised = json.at("advised");
  memory.recovery = RecoveryOf(json.value("recovery", Json()));
  return memory;
}

JudgeState Parse(const Json& json) {
  if (json.at("format").get<int>() != kFormat) throw std::invalid_argument("of another format");
  JudgeState state;
  state.tolerance = json.at("tolerance");
  state.bound = json.at("bound");
  state.checkpoints = json.at("checkpoints");
  state.alarm = json.at("alarm");
  state.quiet = json.at("quiet");
  // Not in the states of monitors before.
  state.level = Number(json.value("level", Json()));
  state.interval = Number(json.value("interval", Json()));
  state.note = json.value("note", "");
  state.act = json.value("act", false);
  state.returns = ReturnsOf(json.value("returns", Json()));
  state.verdict.signals = SignalsOf(json.at("evidence"));
  state.warning = Number(json.value("warning", Json()));
  if (json.contains("early")) state.verdict.early = SignalsOf(json.at("early"));
  state.verdict.negative = EvidenceOf(json.at("negative"));
  state.verdict.repeated = json.at("repeated");
  state.controller = ControllerOf(json.at("controller"));
  state.directive.version = json.at("directive").at("version");
  for (const Json& entry : json.at("directive").at("settings")) {
    state.directive.settings.push_back(SettingOf(entry));
  }
  return state;
}

}  // namespace

std::string ToJson(const JudgeState& state) {
  Json settings = Json::array();
  for (const coadaptation::Setting& setting : state.directive.settings) {
    settings.push_back(From(setting));
  }
  const Json json = {{"format", kFormat},
                     {"tolerance", state.tolerance},
                     {"bound", state.bound},
                     {"warning", state.warning},
                     {"checkpoints", state.checkpoints},
                     {"alarm", state.alarm},
                     {"quiet", state.quiet},
                     {"level", state.level},
                     {"interval", state.interval},
                     {"note", state.note},
                     {"act", state.act},
                     {"returns", From(state.returns)},
                     {"evidence", From(state.verdict.signals)},
                     {"early", From(state.verdict.early)},
                     {"negative", From(state.verdict.negative)},
                     {"repeated", state.verdict.repeated},
                     {"controller", From(state.controller)},
                     {"directive", {{"version", state.directive.version}, {"settings", settings}}}};
  return json.dump(-1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

absl::StatusOr<JudgeState> JudgeStateFrom(const std::string& json) {
  try {
    return Parse(Json::parse(json));
  } catch (const std::exception& error) {
    return absl::InvalidArgumentError(absl::StrCat("not a judge's state: ", error.what()));
  }
}

}  // namespace tandem::monitor
