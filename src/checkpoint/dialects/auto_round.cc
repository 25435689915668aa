#include "checkpoint/dialects/auto_round.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "checkpoint/dialects/integer_words.h"
#include "checkpoint/dialects/stored_scheme.h"

namespace beryl::checkpoint {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 2> kMethods = {"auto-round", "intel/auto-round"};
constexpr std::string_view kPackings =
    "auto_round:auto_gptq, auto_round, auto_round:gptqmodel, auto_round:auto_awq";
// Codes of so many bits are no codes: the module is left alone.
constexpr int64_t kUnquantisedBits = 16;

struct Packing {
  std::string_view name;
  bool has_output_words;
  int64_t zero_added;
};

constexpr std::array<Packing, 4> kKnownPackings = {{
    {"auto_round:auto_gptq", false, 1},
    {"auto_round", false, 0},
    {"auto_round:gptqmodel", false, 0},
    {"auto_round:auto_awq", true, 0},
}};

const Packing* find_packing(std::string_view name) {
  const auto* found = std::find_if(kKnownPackings.begin(), kKnownPackings.end(),
                                   [&](const Packing& packing) { return packing.name == name; });
  return found == kKnownPackings.end() ? nullptr : found;
}

QuantizationScheme read_scheme(const ConfigFields& fields, const QuantizationScheme& base) {
  QuantizationScheme scheme = read_integer_scheme(fields, base);
  scheme.type = fields.find_string("data_type").value_or(scheme.type);
  return scheme;
}

// A module's name, or a regular expression for all of the name.
NamePattern pattern_of(const std::string& key, std::string_view source) {
  const bool is_name = std::all_of(key.begin(), key.end(), [](unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
  });
  if (is_name) return NamePattern(NamePattern::Style::kName, key, source);
  return NamePattern(NamePattern::Style::kExpression, fmt::format("(?:{})$", key), source);
}

// extra_config: what differs for single modules.
void read_exceptions(const ConfigFields& section, const QuantizationScheme& base, QuantizationRules& rules) {
  const json* extra = section.find("extra_config");
  if (extra == nullptr) return;
  const ConfigFields all(*extra, section.path() + ": extra_config");
  for (const auto& [key, value] : extra->items()) {
    QuantizationScheme changed =
        read_scheme(ConfigFields(value, fmt::format("{}: {}", all.path(), key)), base);
    changed.group = key;
    std::optional<size_t> scheme;
    if (changed.bits < kUnquantisedBits) scheme = rules.add_scheme(std::move(changed));
    rules.add_target(pattern_of(key, all.path()), scheme);
  }
}

}  // namespace

std::span<const std::string_view> AutoRoundDialect::methods() const {
  return kMethods;
}

void AutoRoundDialect::read_rules(const ConfigFields& section, QuantizationRules& rules) const {
  rules.set_lenient();
  section.integer("bits", 1, 64);
  section.integer("group_size", -1, int64_t{1} << 20);
  const QuantizationScheme base = read_scheme(
      section,
      {.group = "auto-round", .format = section.find_string("packing_format").value_or(""), .type = "int"});
  rules.add_target(NamePattern(NamePattern::Style::kName, "Linear", section.path()), rules.add_scheme(base));
  read_exceptions(section, base, rules);
}

bool AutoRoundDialect::reads(const QuantizationScheme& scheme) const {
  const Packing* packing = find_packing(scheme.format);
  if (packing == nullptr || scheme.type != "int") return false;
  return scheme.bits == 4 || (scheme.bits == 8 && !packing->has_output_words);
}

bool AutoRoundDialect::recognises(const Module& module) const {
  // The last one is of packing llm_compressor, which read() refuses by name.
  return has_integer_words(module) || module.find("weight_packed") != nullptr;
}

ModuleReading AutoRoundDialect::read(const Module& module, const ModuleShape& shape,
                                     const QuantizationConfig& quantization) const {
  ModuleReading reading;
  const QuantizationScheme& scheme = scheme_of_stored(module, quantization, reading);
  if (scheme.type != "int")
    fail_unsupported(module, fmt::format("AutoRound's data_type '{}'", scheme.type), "int");
  const Packing* packing = find_packing(scheme.format);
  if (packing == nullptr)
    fail_unsupported(module, fmt::format("AutoRound's packing_format '{}'", scheme.format), kPackings);
  if (packing->has_output_words) {
    read_output_words(module, shape, scheme, reading);
  } else {
    read_input_words(module, shape, scheme, packing->zero_added, reading);
  }
  return reading;
}

}  // namespace beryl::checkpoint
