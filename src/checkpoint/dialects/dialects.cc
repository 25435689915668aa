#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "checkpoint/dialects/auto_fp8.h"
#include "checkpoint/dialects/auto_round.h"
#include "checkpoint/dialects/awq.h"
#include "checkpoint/dialects/bitsandbytes.h"
#include "checkpoint/dialects/compressed_tensors.h"
#include "checkpoint/dialects/dialect.h"
#include "checkpoint/dialects/fine_grained_fp8.h"
#include "checkpoint/dialects/fused_fp8.h"
#include "checkpoint/dialects/gguf.h"
#include "checkpoint/dialects/gptq.h"
#include "checkpoint/dialects/mlx.h"
#include "checkpoint/dialects/modelopt.h"
#include "checkpoint/dialects/plain.h"

namespace beryl::checkpoint {

namespace {

const CompressedTensorsDialect kCompressedTensors;
const ModelOptDialect kModelOpt;
const FineGrainedFp8Dialect kFineGrainedFp8;
const AutoFp8Dialect kAutoFp8;
const FusedFp8Dialect kFusedFp8;
const GptqDialect kGptq;
const AwqDialect kAwq;
const AutoRoundDialect kAutoRound;
const BitsAndBytesDialect kBitsAndBytes;
const MlxDialect kMlx;
const GgufDialect kGguf;
const PlainDialect kPlain;

constexpr std::array<const Dialect*, 12> kDialects = {
    &kCompressedTensors, &kModelOpt, &kFineGrainedFp8, &kAutoFp8, &kFusedFp8, &kGptq, &kAwq, &kAutoRound,
    &kBitsAndBytes,      &kMlx,      &kGguf,           &kPlain};

}  // namespace

std::span<const Dialect* const> all_dialects() {
  return kDialects;
}

std::string supported_quantisations() {
  std::vector<std::string> texts;
  for (const Dialect* dialect : all_dialects()) {
    texts.push_back(fmt::format("{}: {}", dialect->name(), dialect->capabilities()));
  }
  return fmt::format("{}", fmt::join(texts, "; "));
}

void Dialect::read_rules(const ConfigFields& /*section*/, QuantizationRules& /*rules*/) const {}

bool Dialect::owns_method(std::string_view method) const {
  return std::find(methods().begin(), methods().end(), method) != methods().end();
}

const TensorRecord* Module::find(std::string_view suffix) const {
  for (const auto& [candidate, record] : tensors) {
    if (candidate == suffix) return record;
  }
  return nullptr;
}

std::string Module::suffix_list() const {
  std::vector<std::string_view> suffixes;
  for (const auto& [suffix, record] : tensors) {
    suffixes.push_back(suffix.empty() ? std::string_view("(no suffix)") : std::string_view(suffix));
  }
  return fmt::format("{}", fmt::join(suffixes, ", "));
}

}  // namespace beryl::checkpoint
