#include "checkpoint/dialects/gptq.h"

#include <fmt/format.h>

#include <array>

#include "checkpoint/dialects/integer_words.h"
#include "checkpoint/dialects/stored_scheme.h"

namespace beryl::checkpoint {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 1> kMethods = {"gptq"};
constexpr std::string_view kFirstVersion = "gptq";
constexpr std::string_view kSecondVersion = "gptq_v2";

// Newer writers say it twice.
std::string format_of(const ConfigFields& section) {
  const auto format = section.find_string("format");
  const auto checkpoint_format = section.find_string("checkpoint_format");
  if (format && checkpoint_format && *format != *checkpoint_format) {
    section.fail("format", fmt::format("\"{}\", as checkpoint_format", *checkpoint_format));
  }
  if (section.find_bool("is_marlin_format").value_or(false)) return "marlin";
  if (checkpoint_format) return *checkpoint_format;
  return format.value_or(std::string(kFirstVersion));
}

// "dynamic": a regular expression for each exception, "-:" in front of modules that are left alone.
void read_exceptions(const ConfigFields& section, const QuantizationScheme& base, QuantizationRules& rules) {
  const json* dynamic = section.find("dynamic");
  if (dynamic == nullptr || *dynamic == false) return;
  const ConfigFields all(*dynamic, section.path() + ": dynamic");
  for (const auto& [key, value] : dynamic->items()) {
    const bool is_marked = key.starts_with("+:") || key.starts_with("-:");
    NamePattern pattern(NamePattern::Style::kExpression, is_marked ? key.substr(2) : key, all.path());
    std::optional<size_t> scheme;
    if (!key.starts_with("-:")) {
      QuantizationScheme changed =
          read_integer_scheme(ConfigFields(value, fmt::format("{}: {}", all.path(), key)), base);
      changed.group = key;
      scheme = rules.add_scheme(std::move(changed));
    }
    rules.add_target(std::move(pattern), scheme);
  }
}

}  // namespace

std::span<const std::string_view> GptqDialect::methods() const {
  return kMethods;
}

void GptqDialect::read_rules(const ConfigFields& section, QuantizationRules& rules) const {
  rules.set_lenient();
  section.integer("bits", 1, 64);
  section.integer("group_size", -1, int64_t{1} << 20);
  const QuantizationScheme base =
      read_integer_scheme(section, {.group = "gptq", .format = format_of(section), .type = "int"});
  rules.add_target(NamePattern(NamePattern::Style::kName, "Linear", section.path()), rules.add_scheme(base));
  read_exceptions(section, base, rules);
  if (!section.find_bool("lm_head").value_or(false)) {
    rules.add_ignore(NamePattern(NamePattern::Style::kSuffix, "lm_head", section.path()));
  }
}

bool GptqDialect::reads(const QuantizationScheme& scheme) const {
  return (scheme.format == kFirstVersion || scheme.format == kSecondVersion) &&
         (scheme.bits == 4 || scheme.bits == 8);
}

bool GptqDialect::recognises(const Module& module) const {
  return has_integer_words(module);
}

ModuleReading GptqDialect::read(const Module& module, const ModuleShape& shape,
                                const QuantizationConfig& quantization) const {
  ModuleReading reading;
  const QuantizationScheme& scheme = scheme_of_stored(module, quantization, reading);
  if (scheme.format != kFirstVersion && scheme.format != kSecondVersion) {
    fail_unsupported(module, fmt::format("GPTQ's format '{}'", scheme.format), "gptq, gptq_v2");
  }
  read_input_words(module, shape, scheme, scheme.format == kFirstVersion ? 1 : 0, reading);
  return reading;
}

}  // namespace beryl::checkpoint
