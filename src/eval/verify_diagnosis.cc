#include "eval/verify_diagnosis.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "formats/decoder.h"

namespace beryl::eval {
namespace {

using checkpoint::Part;
using checkpoint::Role;
using checkpoint::Weight;
using formats::QuantMatrix;

constexpr int64_t kSampleRows = 16;
constexpr int64_t kTransposedElementsMax = int64_t{1} << 26;
// A cosine that no chance gives.
constexpr double kAlike = 0.9;

std::vector<float> decode(const QuantMatrix& matrix, int64_t rows) {
  std::vector<float> values(static_cast<size_t>(rows * matrix.cols));
  formats::RowDecoder(matrix).decode(0, values);
  return values;
}

// The cosine of our sample and the values that `other` gives for its elements.
double cosine_with(std::span<const float> ours, const std::function<float(size_t)>& other) {
  Sums sums;
  for (size_t i = 0; i < ours.size(); ++i) {
    const double a = ours[i];
    const double b = other(i);
    sums.dot += a * b;
    sums.ours += a * a;
    sums.original += b * b;
  }
  return sums.cosine();
}

class Diagnosis {
 public:
  Diagnosis(const RoleWeight& ours, const checkpoint::WeightMap& original)
      : role_(*ours.role),
        matrix_(ours.weight->matrix),
        original_(original),
        rows_(std::min(kSampleRows, matrix_.rows)),
        sample_(decode(matrix_, rows_)) {}

  std::string run(const Sums& sums) {
    if (std::all_of(sample_.begin(), sample_.end(), [](float value) { return value == 0; })) return {};
    if (sums.cosine() > kAlike) return describe_factor(sums);
    if (sums.cosine() < -kAlike) return "all signs are turned around";
    if (std::string text = find_other_weight(); !text.empty()) return text;
    return find_other_order();
  }

 private:
  // The right weights, too large or too small.
  static std::string describe_factor(const Sums& sums) {
    const double factor = sums.dot / sums.original;
    if (factor > 0.8 && factor < 1.25) return {};
    return fmt::format("the values are {:.4g} times the original's: a scale is wrong or of another tensor",
                       factor);
  }

  bool is_alike(const Role& role) const {
    const Weight* other = original_.find(role);
    if (other == nullptr || other->matrix.rows != matrix_.rows || other->matrix.cols != matrix_.cols)
      return false;
    const std::vector<float> values = decode(other->matrix, rows_);
    return cosine_with(sample_, [&](size_t i) { return values[i]; }) > kAlike;
  }

  // The weights of another expert, projection or layer.
  std::string find_other_weight() const {
    std::vector<Role> candidates;
    for (const Part part : {role_.part, counterpart(role_.part)}) {
      for (Role role{part, role_.layer, 0}; role_.expert >= 0 && original_.find(role) != nullptr;
           ++role.expert) {
        candidates.push_back(role);
      }
      for (Role role{part, 0, role_.expert}; original_.find({Part::kInputNorm, role.layer}) != nullptr;
           ++role.layer) {
        candidates.push_back(role);
      }
    }
    for (const Role& role : candidates) {
      if (role != role_ && is_alike(role)) return fmt::format("it holds the original's {}", role_name(role));
    }
    return {};
  }

  static Part counterpart(Part part) {
    switch (part) {
      case Part::kGate:
        return Part::kUp;
      case Part::kUp:
        return Part::kGate;
      case Part::kExpertGate:
        return Part::kExpertUp;
      case Part::kExpertUp:
        return Part::kExpertGate;
      case Part::kK:
        return Part::kV;
      case Part::kV:
        return Part::kK;
      default:
        return part;
    }
  }

  // Our weights in another order.
  std::string find_other_order() const {
    const Weight* own = original_.find(role_);
    if (own == nullptr) return {};
    const QuantMatrix& original = own->matrix;
    const auto cols = static_cast<size_t>(original.cols);
    const std::vector<float> values = decode(original, rows_);
    const auto is_order = [&](size_t flip) {
      return cosine_with(sample_, [&](size_t i) {
               const size_t k = (i % cols) ^ flip;
               return k < cols ? values[i - i % cols + k] : 0.0F;
             }) > kAlike;
    };
    if (is_order(1)) return "the two codes of each byte are swapped (nibble order)";
    if (is_order(7)) return "the codes of each word are in reverse order";
    if (original.rows * original.cols > kTransposedElementsMax) return {};
    const std::vector<float> all = decode(original, original.rows);
    const auto rows = static_cast<size_t>(original.rows);
    // Compares element for element: our flat position i holds what stands there in the original transposed.
    if (cosine_with(sample_, [&](size_t i) { return all[i % rows * cols + i / rows]; }) > kAlike) {
      return "the matrix is transposed";
    }
    return {};
  }

  const Role& role_;
  const QuantMatrix& matrix_;
  const checkpoint::WeightMap& original_;
  const int64_t rows_;
  const std::vector<float> sample_;
};

}  // namespace

std::string diagnose_difference(const RoleWeight& ours, const checkpoint::WeightMap& original,
                                const Comparison& comparison) {
  return Diagnosis(ours, original).run(comparison.whole);
}

}  // namespace beryl::eval
