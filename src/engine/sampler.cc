#include "engine/sampler.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "base/check.h"
#include "base/error.h"
#include "engine/philox.h"

namespace beryl::engine {
namespace {

constexpr size_t kSorted = 256;  // tokens among which the end of a nucleus is found by sorting
constexpr float kExcluded = -std::numeric_limits<float>::infinity();

bool changes_logits(const SampleInput& input) {
  return has_penalties(input.params) || !input.params.logit_bias.empty() ||
         !input.params.suppressed_tokens.empty() || input.mask != nullptr;
}

void exclude_outside(const TokenMask& mask, std::span<float> logits) {
  BERYL_CHECK(static_cast<size_t>(mask.vocab_size()) == logits.size());
  const std::span<const uint64_t> words = mask.words();
  for (size_t word = 0; word < words.size(); ++word) {
    if (words[word] == ~uint64_t{0}) continue;
    const size_t end = std::min((word + 1) * 64, logits.size());
    for (size_t token = word * 64; token < end; ++token) {
      if (((words[word] >> (token % 64)) & 1U) == 0) logits[token] = kExcluded;
    }
  }
}

// The least logit whose probability after the temperature is at least min_p times the greatest.
float min_p_cutoff(const SamplingParams& params, float max_logit) {
  if (params.min_p == 0) return kExcluded;
  return static_cast<float>(max_logit + params.temperature * std::log(static_cast<double>(params.min_p)));
}

}  // namespace

Sample Sampler::sample(const SampleInput& input) {
  try {
    return sample_at(input);
  } catch (Error& error) {
    error.add_context(fmt::format("choosing the token at position {}", input.position));
    throw;
  }
}

Sample Sampler::sample_at(const SampleInput& input) {
  raw_scan_.scan(input.logits);
  const LogitScan& scan = changes_logits(input) ? adjust(input) : raw_scan_;
  Sample result{.token = draw(scan, input)};
  if (input.params.top_logprobs) {
    const Logprobs logprobs(raw_scan_);
    result.logprob = logprobs.of(result.token);
    result.top_logprobs = logprobs.top(static_cast<size_t>(*input.params.top_logprobs));
  }
  return result;
}

const LogitScan& Sampler::adjust(const SampleInput& input) {
  adjusted_.assign(input.logits.begin(), input.logits.end());
  if (has_penalties(input.params)) input.history.penalise(input.params, adjusted_);
  for (const LogitBias& entry : input.params.logit_bias) {
    adjusted_[static_cast<size_t>(entry.token)] += entry.bias;
  }
  for (const int32_t token : input.params.suppressed_tokens) {
    adjusted_[static_cast<size_t>(token)] = kExcluded;
  }
  if (input.mask != nullptr) exclude_outside(*input.mask, adjusted_);
  // The logits as given hold a finite one, so if none is left, then the request asked for it.
  if (std::all_of(adjusted_.begin(), adjusted_.end(), [](float logit) { return logit == kExcluded; })) {
    throw Error(ErrorCode::kInvalidInput, "the token mask and suppress_tokens leave no token to choose");
  }
  adjusted_scan_.scan(adjusted_);
  return adjusted_scan_;
}

int32_t Sampler::draw(const LogitScan& scan, const SampleInput& input) {
  const SamplingParams& params = input.params;
  if (params.temperature == 0 || params.top_k == 1 || params.top_p == 0) return scan.argmax();

  const Scale scale{.max_logit = scan.max(), .temperature = params.temperature};
  const float cutoff = min_p_cutoff(params, scan.max());
  if (params.top_k > 0) {
    scan.find_top(static_cast<size_t>(params.top_k), cutoff, candidates_);
  } else {
    scan.find_at_least(cutoff, candidates_);
  }
  double total = weigh(0, candidates_.size(), scale);
  if (params.top_p < 1) total = keep_nucleus(params.top_p * total, scale);
  return pick(total * uniform_at(params.seed, input.sample_index, input.position));
}

double Sampler::weigh(size_t begin, size_t end, const Scale& scale) {
  weights_.resize(candidates_.size());
  double total = 0;
  for (size_t i = begin; i < end; ++i) {
    weights_[i] = std::exp((static_cast<double>(candidates_[i].logit) - scale.max_logit) / scale.temperature);
    total += weights_[i];
  }
  return total;
}

// Most nuclei are small, and their end is then in the first few tokens. A sort of the vocabulary would cost
// ten times as much as the rest of the step, so the search only partitions until few tokens are left in
// question.
double Sampler::keep_nucleus(double goal, const Scale& scale) {
  const auto partition = [&](size_t begin, size_t middle, size_t end) {
    const auto first = candidates_.begin();
    if (middle == end) return;
    std::nth_element(first + static_cast<ptrdiff_t>(begin), first + static_cast<ptrdiff_t>(middle),
                     first + static_cast<ptrdiff_t>(end), is_preferred);
  };
  // The nucleus holds all before `begin`, which weigh `before`, and none from `end` on.
  size_t begin = 0;
  size_t end = std::min(candidates_.size(), kSorted);
  double before = 0;
  partition(begin, end, candidates_.size());
  while (end < candidates_.size()) {
    const double weight = weigh(begin, end, scale);
    if (before + weight >= goal) break;
    before += weight;
    begin = std::exchange(end, std::min(candidates_.size(), 4 * end));
    partition(begin, end, candidates_.size());
  }
  while (end - begin > kSorted) {
    const size_t middle = begin + (end - begin) / 2;
    partition(begin, middle, end);
    const double weight = weigh(begin, middle, scale);
    if (before + weight >= goal) {
      end = middle;
    } else {
      before += weight;
      begin = middle;
    }
  }
  std::sort(candidates_.begin() + static_cast<ptrdiff_t>(begin),
            candidates_.begin() + static_cast<ptrdiff_t>(end), is_preferred);
  weigh(begin, end, scale);
  while (begin < end && before < goal) before += weights_[begin++];
  candidates_.resize(begin);
  return weigh(0, begin, scale);
}

int32_t Sampler::pick(double target) const {
  double sum = 0;
  size_t last = 0;  // with a weight above zero; taken when rounding lets the sum fall short of the target
  for (size_t i = 0; i < candidates_.size(); ++i) {
    sum += weights_[i];
    if (sum > target) return candidates_[i].token;
    if (weights_[i] > 0) last = i;
  }
  return candidates_[last].token;
}

}  // namespace beryl::engine
