// Python's random numbers, so that few-shot examples are the ones that lm-evaluation-harness draws.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace beryl::eval {

// random.Random(seed) of Python 3: the Mersenne Twister MT19937, seeded and read as CPython does it.
class PythonRandom {
 public:
  explicit PythonRandom(uint64_t seed);

  // getrandbits(bits), bits in [1, 32].
  uint32_t bits(int bits);
  // randrange(n), n >= 1.
  uint32_t below(uint32_t n);
  // sample(range(population), count): different indices in the order drawn; count <= population.
  std::vector<uint32_t> sample(uint32_t population, uint32_t count);

 private:
  static constexpr size_t kWords = 624;

  void seed_with(uint32_t seed);
  void seed_with(const std::vector<uint32_t>& key);
  void refill();
  uint32_t next();

  std::array<uint32_t, kWords> state_ = {};
  size_t position_ = kWords;
};

}  // namespace beryl::eval
