#include "eval/python_random.h"

#include <algorithm>
#include <bit>
#include <numeric>

#include "base/check.h"

namespace beryl::eval {
namespace {

// The generator's middle word.
constexpr size_t kShift = 397;

// Up to this population CPython draws from a list of what is left, beyond it until an index is new.
uint64_t list_population_max(uint32_t count) {
  uint64_t size = 21;
  if (count > 5) {
    uint64_t table = 1;
    while (table < uint64_t{count} * 3) table *= 4;
    size += table;
  }
  return size;
}

}  // namespace

PythonRandom::PythonRandom(uint64_t seed) {
  std::vector<uint32_t> key = {static_cast<uint32_t>(seed)};
  if (const auto high = static_cast<uint32_t>(seed >> 32); high != 0) key.push_back(high);
  seed_with(key);
}

void PythonRandom::seed_with(uint32_t seed) {
  state_[0] = seed;
  for (size_t i = 1; i < kWords; ++i) {
    state_[i] = 1812433253U * (state_[i - 1] ^ (state_[i - 1] >> 30)) + static_cast<uint32_t>(i);
  }
}

void PythonRandom::seed_with(const std::vector<uint32_t>& key) {
  seed_with(19650218U);
  size_t i = 1;
  const auto advance = [&] {
    if (++i < kWords) return;
    state_[0] = state_[kWords - 1];
    i = 1;
  };
  const auto mixed = [&](uint32_t factor) {
    return state_[i] ^ ((state_[i - 1] ^ (state_[i - 1] >> 30)) * factor);
  };
  for (size_t step = 0; step < std::max(kWords, key.size()); ++step) {
    const size_t j = step % key.size();
    state_[i] = mixed(1664525U) + key[j] + static_cast<uint32_t>(j);
    advance();
  }
  for (size_t step = 0; step + 1 < kWords; ++step) {
    state_[i] = mixed(1566083941U) - static_cast<uint32_t>(i);
    advance();
  }
  state_[0] = 0x80000000U;
  position_ = kWords;
}

void PythonRandom::refill() {
  for (size_t i = 0; i < kWords; ++i) {
    const uint32_t joined = (state_[i] & 0x80000000U) | (state_[(i + 1) % kWords] & 0x7fffffffU);
    state_[i] = state_[(i + kShift) % kWords] ^ (joined >> 1) ^ ((joined & 1) != 0 ? 0x9908b0dfU : 0U);
  }
  position_ = 0;
}

uint32_t PythonRandom::next() {
  if (position_ == kWords) refill();
  uint32_t word = state_[position_++];
  word ^= word >> 11;
  word ^= (word << 7) & 0x9d2c5680U;
  word ^= (word << 15) & 0xefc60000U;
  return word ^ (word >> 18);
}

uint32_t PythonRandom::bits(int bits) {
  BERYL_CHECK(bits >= 1 && bits <= 32);
  return next() >> (32 - bits);
}

uint32_t PythonRandom::below(uint32_t n) {
  BERYL_CHECK(n >= 1);
  const int width = std::bit_width(n);
  uint32_t drawn = bits(width);
  while (drawn >= n) drawn = bits(width);
  return drawn;
}

std::vector<uint32_t> PythonRandom::sample(uint32_t population, uint32_t count) {
  BERYL_CHECK(count <= population);
  std::vector<uint32_t> drawn;
  if (population <= list_population_max(count)) {
    std::vector<uint32_t> left(population);
    std::iota(left.begin(), left.end(), 0U);
    for (uint32_t i = 0; i < count; ++i) {
      uint32_t& taken = left[below(population - i)];
      drawn.push_back(taken);
      taken = left[population - i - 1];
    }
    return drawn;
  }
  while (drawn.size() < count) {
    const uint32_t index = below(population);
    if (std::find(drawn.begin(), drawn.end(), index) == drawn.end()) drawn.push_back(index);
  }
  return drawn;
}

}  // namespace beryl::eval
