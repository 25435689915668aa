#include "engine/logit_scan.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>

#include "base/check.h"
#include "base/error.h"

namespace beryl::engine {
namespace {

constexpr size_t kBlock = 64;
constexpr size_t kLanes = 16;  // independent maxima, so that the compiler can use vector instructions
constexpr float kLargest = std::numeric_limits<float>::max();

struct BlockScan {
  float max;
  bool is_numeric;  // holds neither NaN nor +inf
};

BlockScan scan_whole_block(const float* logits) {
  std::array<float, kLanes> highest;
  highest.fill(-std::numeric_limits<float>::infinity());
  std::array<uint32_t, kLanes> bad{};
  for (size_t i = 0; i < kBlock; i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) {
      const float value = logits[i + lane];
      highest[lane] = value > highest[lane] ? value : highest[lane];
      bad[lane] |= value <= kLargest ? 0U : 1U;
    }
  }
  BlockScan result{.max = highest[0], .is_numeric = bad[0] == 0};
  for (size_t lane = 1; lane < kLanes; ++lane) {
    result.max = std::max(result.max, highest[lane]);
    result.is_numeric &= bad[lane] == 0;
  }
  return result;
}

BlockScan scan_short_block(std::span<const float> logits) {
  BlockScan result{.max = -std::numeric_limits<float>::infinity(), .is_numeric = true};
  for (const float value : logits) {
    result.max = value > result.max ? value : result.max;
    result.is_numeric &= value <= kLargest;
  }
  return result;
}

[[noreturn]] void throw_not_numeric(std::span<const float> logits) {
  for (size_t token = 0; token < logits.size(); ++token) {
    if (logits[token] <= kLargest) continue;
    throw Error(ErrorCode::kNumeric,
                fmt::format("the logit of token {} is {}, expected a finite number", token, logits[token]));
  }
  throw Error(ErrorCode::kNumeric, "every logit is -inf, expected at least one finite number");
}

}  // namespace

void LogitScan::scan(std::span<const float> logits) {
  BERYL_CHECK(!logits.empty());
  logits_ = logits;
  block_max_.resize((logits.size() + kBlock - 1) / kBlock);
  bool is_numeric = true;
  for (size_t block = 0; block < block_max_.size(); ++block) {
    const size_t begin = block * kBlock;
    const bool is_whole = begin + kBlock <= logits.size();
    const BlockScan found =
        is_whole ? scan_whole_block(logits.data() + begin) : scan_short_block(logits.subspan(begin));
    block_max_[block] = found.max;
    is_numeric &= found.is_numeric;
  }
  max_ = *std::max_element(block_max_.begin(), block_max_.end());
  if (!is_numeric || max_ < -kLargest) throw_not_numeric(logits);
}

int32_t LogitScan::argmax() const {
  const auto block = std::find(block_max_.begin(), block_max_.end(), max_) - block_max_.begin();
  const auto begin = logits_.begin() + block * static_cast<ptrdiff_t>(kBlock);
  return static_cast<int32_t>(std::find(begin, logits_.end(), max_) - logits_.begin());
}

void LogitScan::find_at_least(float cutoff, std::vector<Candidate>& out) const {
  out.clear();
  cutoff = std::max(cutoff, -kLargest);
  for (size_t block = 0; block < block_max_.size(); ++block) {
    if (block_max_[block] < cutoff) continue;
    const size_t end = std::min((block + 1) * kBlock, logits_.size());
    for (size_t token = block * kBlock; token < end; ++token) {
      if (logits_[token] >= cutoff) out.push_back({static_cast<int32_t>(token), logits_[token]});
    }
  }
}

void LogitScan::find_top(size_t count, float cutoff, std::vector<Candidate>& out) const {
  BERYL_CHECK(count >= 1);
  if (count <= block_max_.size()) {
    std::vector<float> ranked = block_max_;
    const auto bound = ranked.begin() + static_cast<ptrdiff_t>(count - 1);
    std::nth_element(ranked.begin(), bound, ranked.end(), std::greater<>());
    cutoff = std::max(cutoff, *bound);
  }
  find_at_least(cutoff, out);
  if (out.size() > count) {
    std::nth_element(out.begin(), out.begin() + static_cast<ptrdiff_t>(count), out.end(), is_preferred);
    out.resize(count);
  }
  std::sort(out.begin(), out.end(), is_preferred);
}

}  // namespace beryl::engine
