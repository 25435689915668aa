// One pass over a row of logits, after which the largest ones are found without sorting the vocabulary.
//
// The row is cut into blocks of 64 and the maximum of each block is kept. The k-th largest block maximum is a
// lower bound of the k-th largest logit, so only blocks that reach it are looked at again.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace beryl::engine {

struct Candidate {
  int32_t token = 0;
  float logit = 0;
};

// The order of preference everywhere: the higher logit first, of equal ones the lower token id.
constexpr bool is_preferred(const Candidate& a, const Candidate& b) {
  return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
}

// Keeps its buffers between rows. One thread at a time.
class LogitScan {
 public:
  // Looks at `logits` [V], V >= 1, which must outlive the calls below. -inf stands for a token that cannot be
  // chosen. Errors: kNumeric, naming the token, when a logit is NaN or +inf, or when all are -inf.
  void scan(std::span<const float> logits);

  std::span<const float> logits() const { return logits_; }
  float max() const { return max_; }
  // The lowest token id with the largest logit.
  int32_t argmax() const;
  // Fills `out` with the tokens whose logit is at least `cutoff` (and not -inf), in ascending order of id.
  void find_at_least(float cutoff, std::vector<Candidate>& out) const;
  // Fills `out` with the at most `count` most preferred tokens whose logit is at least `cutoff` (and not
  // -inf), in order of preference. `count` >= 1.
  void find_top(size_t count, float cutoff, std::vector<Candidate>& out) const;

 private:
  std::span<const float> logits_;
  float max_ = 0;
  std::vector<float> block_max_;
};

}  // namespace beryl::engine
