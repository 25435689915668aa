// What one grammar may cost, and the count of what it has cost so far. Grammars come from requests.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace beryl::text::grammar {

struct GrammarLimits {
  size_t text_bytes_max = size_t{256} * 1024;  // of a schema, an expression, a grammar; of all tools together
  size_t nodes_max = 200'000;                  // of the grammar as it was read
  size_t states_max = 1'000'000;               // of the automaton
  std::chrono::milliseconds compile_time_max{500};
  uint32_t repetitions_max = 0x7FFF'FFFF;  // of one repetition; a count costs the same whatever its bounds
  uint32_t stack_depth_max = 512;  // rules and counted repetitions open at once; a JSON level takes four
  size_t places_max = 4096;        // where in the grammar the output may be at once, when it is ambiguous
  // Places looked at for one token or one mask: a fraction of a second.
  size_t step_work_max = 4'000'000;
  size_t step_bytes_max = size_t{64} << 20;   // of positions that turn up meanwhile
  size_t cache_bytes_max = size_t{32} << 20;  // of states and masks kept for one grammar
};

// Counts down while one grammar is read and built. Errors of all functions: kInvalidInput naming the limit.
class Budget {
 public:
  explicit Budget(const GrammarLimits& limits);

  const GrammarLimits& limits() const { return limits_; }
  void add_text(size_t bytes);
  void add_nodes(size_t count);
  void add_states(size_t count);
  // For loops that add nothing. The first reads the clock now and then, the second always.
  void check_time();
  void check_clock() const;

 private:
  GrammarLimits limits_;
  std::chrono::steady_clock::time_point start_;
  size_t text_bytes_ = 0;
  size_t nodes_ = 0;
  size_t states_ = 0;
  uint32_t checks_ = 0;
};

}  // namespace beryl::text::grammar
