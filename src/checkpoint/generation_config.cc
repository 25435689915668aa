#include "checkpoint/generation_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <system_error>
#include <utility>

#include "base/files.h"
#include "base/json.h"
#include "checkpoint/config_fields.h"
#include "checkpoint/limits.h"

namespace beryl::checkpoint {
namespace {

// Reads the fields that hold token ids.
class TokenFields {
 public:
  TokenFields(const ConfigFields& fields, int64_t vocabulary_size)
      : fields_(fields),
        id_max_(std::min<int64_t>(vocabulary_size, std::numeric_limits<int32_t>::max()) - 1) {}

  std::optional<int32_t> find_id(std::string_view name) const {
    const auto id = fields_.find_integer(name, 0, id_max_);
    if (!id) return std::nullopt;
    return static_cast<int32_t>(*id);
  }

  // A single id or a list of ids, ascending, each once; empty when absent.
  std::vector<int32_t> ids(std::string_view name) const {
    const nlohmann::json* field = fields_.find(name);
    if (field == nullptr) return {};
    if (!field->is_array()) return {find_id(name).value()};
    std::vector<int32_t> ids;
    for (const nlohmann::json& element : *field) {
      if (!is_id(element)) fields_.fail(name, fmt::format("a list of integers from 0 to {}", id_max_));
      ids.push_back(element.get<int32_t>());
    }
    std::sort(ids.begin(), ids.end());
    ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
    return ids;
  }

 private:
  bool is_id(const nlohmann::json& value) const {
    if (!value.is_number_unsigned()) return false;
    const auto id = value.get<uint64_t>();
    return id <= INT32_MAX && static_cast<int64_t>(id) <= id_max_;
  }

  const ConfigFields& fields_;
  int64_t id_max_;
};

}  // namespace

GenerationConfig parse_generation_config(const nlohmann::json& config, int64_t vocabulary_size,
                                         std::string_view source) {
  const ConfigFields fields(config, std::string(source));
  const TokenFields tokens(fields, vocabulary_size);
  GenerationConfig result;
  // A model without an end would never stop: an empty list counts as absent.
  if (auto ids = tokens.ids("eos_token_id"); !ids.empty()) result.eos_token_ids = std::move(ids);
  result.bos_token_id = tokens.find_id("bos_token_id");
  result.pad_token_id = tokens.find_id("pad_token_id");
  result.suppress_tokens = tokens.ids("suppress_tokens");

  const auto set_number = [&](float& target, std::string_view name, double min, double max) {
    if (const auto value = fields.find_number(name, min, max)) target = static_cast<float>(*value);
  };
  result.do_sample = fields.find_bool("do_sample").value_or(result.do_sample);
  set_number(result.temperature, "temperature", 0, 2);
  set_number(result.top_p, "top_p", 0, 1);
  set_number(result.min_p, "min_p", 0, 1);
  set_number(result.repetition_penalty, "repetition_penalty", 0.01, 2);
  if (const auto top_k = fields.find_integer("top_k", 0, std::numeric_limits<int32_t>::max())) {
    result.top_k = static_cast<int32_t>(*top_k);
  }
  return result;
}

GenerationConfig load_generation_config(const std::filesystem::path& directory, int64_t vocabulary_size) {
  const std::filesystem::path path = directory / "generation_config.json";
  std::error_code ignored;
  // A link to nothing is a broken download, not an absent file: reading it says so.
  if (!std::filesystem::exists(std::filesystem::symlink_status(path, ignored))) return {};
  const std::string source = fmt::format("'{}'", path.string());
  return parse_generation_config(parse_json(read_text_file(path, kConfigBytesMax), source), vocabulary_size,
                                 source);
}

}  // namespace beryl::checkpoint
