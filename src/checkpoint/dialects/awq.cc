#include "checkpoint/dialects/awq.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "checkpoint/dialects/integer_words.h"
#include "checkpoint/dialects/stored_scheme.h"

namespace beryl::checkpoint {
namespace {

constexpr std::array<std::string_view, 1> kMethods = {"awq"};
constexpr std::string_view kGemm = "gemm";

// AutoAWQ wrote it in capitals at first.
std::string version_of(const ConfigFields& section) {
  std::string version = section.find_string("version").value_or(std::string(kGemm));
  std::transform(version.begin(), version.end(), version.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return version;
}

}  // namespace

std::span<const std::string_view> AwqDialect::methods() const {
  return kMethods;
}

void AwqDialect::read_rules(const ConfigFields& section, QuantizationRules& rules) const {
  rules.set_lenient();
  section.integer("bits", 1, 64);
  section.integer("group_size", -1, int64_t{1} << 20);
  QuantizationScheme scheme =
      read_integer_scheme(section, {.group = "awq", .format = version_of(section), .type = "int"});
  scheme.is_symmetric = !section.find_bool("zero_point").value_or(true);
  rules.add_target(NamePattern(NamePattern::Style::kName, "Linear", section.path()),
                   rules.add_scheme(std::move(scheme)));
  rules.add_ignores(section, "modules_to_not_convert", NamePattern::Style::kSuffix);
}

bool AwqDialect::reads(const QuantizationScheme& scheme) const {
  return scheme.format == kGemm && scheme.bits == 4;
}

bool AwqDialect::recognises(const Module& module) const {
  return has_integer_words(module);
}

ModuleReading AwqDialect::read(const Module& module, const ModuleShape& shape,
                               const QuantizationConfig& quantization) const {
  ModuleReading reading;
  const QuantizationScheme& scheme = scheme_of_stored(module, quantization, reading);
  if (scheme.format != kGemm)
    fail_unsupported(module, fmt::format("AWQ's version '{}'", scheme.format), kGemm);
  read_output_words(module, shape, scheme, reading);
  return reading;
}

}  // namespace beryl::checkpoint
