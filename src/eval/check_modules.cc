#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <memory>
#include <set>

#include "base/error.h"
#include "checkpoint/role.h"
#include "eval/golden_check.h"
#include "formats/decoder.h"

namespace beryl::eval {
namespace {

constexpr int64_t kRowsAtOnce = 64;

class Sha256 {
 public:
  Sha256() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
    EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr);
  }

  void add(std::span<const float> values) {
    EVP_DigestUpdate(context_.get(), values.data(), values.size_bytes());
  }

  std::string finish() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned int length = 0;
    EVP_DigestFinal_ex(context_.get(), digest.data(), &length);
    return fmt::format("{:02x}", fmt::join(digest.begin(), digest.begin() + length, ""));
  }

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

void add_matrix(const formats::QuantMatrix& matrix, Sha256& sha) {
  formats::RowDecoder decoder(matrix);
  std::vector<float> rows;
  for (int64_t row = 0; row < matrix.rows; row += kRowsAtOnce) {
    const int64_t count = std::min(kRowsAtOnce, matrix.rows - row);
    rows.resize(static_cast<size_t>(count * matrix.cols));
    decoder.decode(row, rows);
    sha.add(rows);
  }
}

// The matrices of a module, in the order of its rows; empty when the checkpoint has no such weight. Whatever
// the file calls them, the list has current names; where it keeps all experts in one tensor, the list may
// name each expert or all of them.
std::vector<const formats::QuantMatrix*> matrices_of(const checkpoint::WeightMap& weights,
                                                     std::string_view module) {
  using checkpoint::Part;
  std::vector<const formats::QuantMatrix*> matrices;
  const checkpoint::TensorName name = checkpoint::parse_tensor_name(module);
  if (name.kind != checkpoint::TensorName::Kind::kWeight) return matrices;
  const auto add = [&](const checkpoint::Role& role) {
    const checkpoint::Weight* weight = weights.find(role);
    if (weight != nullptr) matrices.push_back(&weight->matrix);
    return weight != nullptr;
  };
  const int32_t layer = name.role.layer;
  if (name.role.part == Part::kFusedExpertsGateUp) {
    for (int32_t i = 0; add({Part::kExpertGate, layer, i}) && add({Part::kExpertUp, layer, i}); ++i) {
    }
  } else if (name.role.part == Part::kFusedExpertsDown) {
    for (int32_t i = 0; add({Part::kExpertDown, layer, i}); ++i) {
    }
  } else {
    add(name.role);
  }
  return matrices;
}

}  // namespace

std::vector<ModuleMismatch> check_modules(const checkpoint::WeightMap& weights,
                                          std::span<const GoldenModule> modules) {
  std::set<std::string_view> skipped;
  for (const checkpoint::SkippedTensor& tensor : weights.skipped()) skipped.insert(tensor.name);
  std::vector<ModuleMismatch> mismatches;
  for (const GoldenModule& module : modules) {
    if (skipped.contains(module.name + ".weight")) continue;
    const std::vector<const formats::QuantMatrix*> matrices = matrices_of(weights, module.name);
    if (matrices.empty()) {
      mismatches.push_back({module.name, "not in the checkpoint"});
      continue;
    }
    Sha256 sha;
    with_context(module.name, [&] {
      for (const formats::QuantMatrix* matrix : matrices) add_matrix(*matrix, sha);
    });
    const std::string found = sha.finish();
    if (found != module.sha256) mismatches.push_back({module.name, found});
  }
  return mismatches;
}

}  // namespace beryl::eval
