#include "common/clients/dm_env_rpc_settings.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace tandem::clients {
namespace {

using dm_env_rpc::v1::Tensor;
using Json = nlohmann::json;

absl::Status SetScalars(const std::string& name, const Json& values, Tensor* tensor) {
  const auto all = [&values](auto is) { return std::all_of(values.begin(), values.end(), is); };
  if (all([](const Json& value) { return value.is_number_integer(); })) {
    for (const Json& value : values) tensor->mutable_int64s()->add_array(value.get<int64_t>());
  } else if (all([](const Json& value) { return value.is_number(); })) {
    for (const Json& value : values) tensor->mutable_doubles()->add_array(value.get<double>());
  } else if (all([](const Json& value) { return value.is_boolean(); })) {
    for (const Json& value : values) tensor->mutable_bools()->add_array(value.get<bool>());
  } else if (all([](const Json& value) { return value.is_string(); })) {
    for (const Json& value : values) tensor->mutable_strings()->add_array(value.get<std::string>());
  } else {
    return absl::InvalidArgumentError(absl::StrCat(
        "setting \"", name,
        "\": ", "expected a number, a string, a boolean, or an array of one of these, got ",
        values.dump()));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<DmEnvRpcSettings> SettingsFromJson(const std::string& json) {
  DmEnvRpcSettings settings;
  if (json.empty()) return settings;
  const Json object = Json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) {
    return absl::InvalidArgumentError(absl::StrCat("expected a JSON object, got ", json));
  }
  for (const auto& [name, value] : object.items()) {
    Tensor& tensor = settings[name];
    if (value.is_array()) tensor.add_shape(static_cast<int32_t>(value.size()));
    TANDEM_RETURN_IF_ERROR(
        SetScalars(name, value.is_array() ? value : Json::array({value}), &tensor));
  }
  return settings;
}

}  // namespace tandem::clients
