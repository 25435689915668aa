#include "backend/cpu/attention.h"

#include <algorithm>
#include <array>
#include <limits>
#include <numeric>
#include <tuple>
#include <utility>

namespace beryl::backend {
namespace {

constexpr float kNothing = -std::numeric_limits<float>::infinity();

// Queries that share a block. More would read keys less often, but the sums of these stay in the caches.
constexpr int64_t kUnitQueries = 32;
// Products (of one query with one key) that one thread computes in less time than waking another takes.
constexpr int64_t kInlineNumbers = int64_t{1} << 18;

}  // namespace

std::span<const int32_t> pages_of_row(const AttentionLayer& layer, const Rows& rows, int64_t t) {
  const PageTables& tables = rows.tables[static_cast<size_t>(rows.sequences[static_cast<size_t>(t)])];
  return layer.kind == LayerKind::kSliding ? tables.sliding : tables.full;
}

// Finds the keys and values of ranges of positions.
class Attention::BlockReader {
 public:
  BlockReader(const AttentionCall& call, int64_t row, int64_t kv_head)
      : cache_(*call.cache),
        layer_(call.layer->cache_layer),
        row_bytes_(call.layer->head_dim * cache_.number_bytes()),
        kv_head_(kv_head),
        pages_(pages_of_row(*call.layer, call.rows, row)) {}

  // Points `block` to the vectors of positions `range`, at most kBlockKeys, and to the keys of `next`.
  void read(Visible range, Visible next, AttentionBlock& block) {
    if (!(range == current_->range)) std::swap(current_, next_);
    find(range, *current_);
    find(next, *next_);
    block.keys = range.end - range.begin;
    block.key_rows = current_->keys.data();
    block.value_rows = current_->values.data();
    block.next_keys = next.end - next.begin;
    block.next_key_rows = next_->keys.data();
  }

 private:
  struct Pointers {
    Visible range = {0, 0};
    std::array<const void*, kBlockKeys> keys, values;
  };

  void find(Visible range, Pointers& pointers) const {
    if (range == pointers.range) return;
    pointers.range = range;
    const int64_t page_tokens = cache_.shape().tokens_per_page;
    size_t i = 0;
    for (int64_t position = range.begin; position < range.end;) {
      const int64_t page = position / page_tokens;
      const int64_t end = std::min(range.end, (page + 1) * page_tokens);
      const int32_t number = pages_[static_cast<size_t>(page)];
      const int64_t offset = (position - page * page_tokens) * row_bytes_;
      const std::byte* key = cache_.vectors(layer_, CpuCache::Side::kKeys, number, kv_head_) + offset;
      const std::byte* value = cache_.vectors(layer_, CpuCache::Side::kValues, number, kv_head_) + offset;
      for (; position < end; ++position, ++i, key += row_bytes_, value += row_bytes_) {
        pointers.keys[i] = key;
        pointers.values[i] = value;
      }
    }
  }

  const CpuCache& cache_;
  const int64_t layer_;
  const int64_t row_bytes_;
  const int64_t kv_head_;
  const std::span<const int32_t> pages_;
  std::array<Pointers, 2> pointers_;
  Pointers* current_ = &pointers_[0];
  Pointers* next_ = &pointers_[1];
};

Attention::Attention(const VectorKernels& kernels, ThreadPool& pool)
    : kernels_(kernels), pool_(pool), scratches_(static_cast<size_t>(pool.thread_count())) {}

void Attention::run(const AttentionCall& call) {
  call_ = &call;
  make_units();
  if (is_short()) {
    for (const Unit& unit : units_) attend_unit(unit, scratches_[0]);
  } else if (has_few_units()) {
    run_sections();
  } else {
    run_whole();
  }
}

void Attention::make_units() {
  const auto& [sequences, positions, tables] = call_->rows;
  order_.resize(positions.size());
  std::iota(order_.begin(), order_.end(), 0);
  const auto place = [&](int32_t row) {
    return std::tuple(sequences[static_cast<size_t>(row)], positions[static_cast<size_t>(row)], row);
  };
  std::sort(order_.begin(), order_.end(), [&](int32_t a, int32_t b) { return place(a) < place(b); });

  units_.clear();
  const auto rows = static_cast<int64_t>(order_.size());
  const int64_t rows_max = std::max<int64_t>(1, kUnitQueries / heads_per_key());
  for (Group group = {0, 0}; group.first < rows; group.first += group.count) {
    const auto sequence_of = [&](int64_t i) { return std::get<0>(place(order_[static_cast<size_t>(i)])); };
    group.count = 1;
    while (group.count < rows_max && group.first + group.count < rows &&
           sequence_of(group.first + group.count) == sequence_of(group.first)) {
      ++group.count;
    }
    const Visible oldest = visible(order_[static_cast<size_t>(group.first)]);
    const Visible newest = visible(order_[static_cast<size_t>(group.first + group.count - 1)]);
    for (int64_t kv_head = 0; kv_head < call_->layer->kv_heads; ++kv_head) {
      units_.push_back({.group = group,
                        .kv_head = kv_head,
                        .first_section = oldest.begin / kSectionKeys,
                        .section_end = (newest.end + kSectionKeys - 1) / kSectionKeys});
    }
  }
}

bool Attention::is_short() const {
  if (pool_.thread_count() == 1) return true;
  int64_t keys = 0;
  for (const int32_t row : order_) keys += visible(row).end - visible(row).begin;
  return keys * call_->layer->heads * call_->layer->head_dim < kInlineNumbers;
}

bool Attention::has_few_units() const {
  const bool has_sections = std::any_of(units_.begin(), units_.end(), [](const Unit& unit) {
    return unit.section_end - unit.first_section > 1;
  });
  return has_sections && static_cast<int64_t>(units_.size()) < 4 * int64_t{pool_.thread_count()};
}

// The last units of a prompt see most keys, so they come first.
void Attention::run_whole() {
  const auto count = static_cast<int64_t>(units_.size());
  pool_.run_tasks(count, [&](int thread, int64_t task) {
    attend_unit(units_[static_cast<size_t>(count - 1 - task)], scratches_[static_cast<size_t>(thread)]);
  });
}

void Attention::run_sections() {
  struct Part {
    const Unit* unit;
    int64_t section;
    int64_t offset;  // of its state
  };
  std::vector<Part> parts;
  std::vector<size_t> first_parts;  // [units]
  int64_t offset = 0;
  for (const Unit& unit : units_) {
    first_parts.push_back(parts.size());
    for (int64_t section = unit.first_section; section < unit.section_end; ++section) {
      parts.push_back({&unit, section, offset});
      offset += state_numbers(unit.group.count * heads_per_key());
    }
  }
  sections_.resize(static_cast<size_t>(offset));
  pool_.run_tasks(static_cast<int64_t>(parts.size()), [&](int thread, int64_t task) {
    const Part& part = parts[static_cast<size_t>(task)];
    Scratch& scratch = scratches_[static_cast<size_t>(thread)];
    gather_queries(*part.unit, scratch);
    attend_section(*part.unit, part.section, scratch,
                   state_at(sections_.data() + part.offset, part.unit->group.count * heads_per_key()));
  });

  // One task merges the sections of one query of each unit, in place of the first that it sees.
  const int64_t queries_max = std::max(kUnitQueries, heads_per_key());
  pool_.run_tasks(static_cast<int64_t>(units_.size()) * queries_max, [&](int, int64_t task) {
    const Unit& unit = units_[static_cast<size_t>(task / queries_max)];
    const int64_t queries = unit.group.count * heads_per_key();
    const int64_t query = task % queries_max;
    if (query >= queries) return;
    const int32_t row = order_[static_cast<size_t>(unit.group.first + query / heads_per_key())];
    const Visible keys = visible(row);
    const size_t base = first_parts[static_cast<size_t>(task / queries_max)];
    const auto state_of = [&](int64_t section) {
      const Part& part = parts[base + static_cast<size_t>(section - unit.first_section)];
      return state_at(sections_.data() + part.offset, queries);
    };
    const State total = state_of(keys.begin / kSectionKeys);
    for (int64_t section = keys.begin / kSectionKeys + 1; section * kSectionKeys < keys.end; ++section) {
      merge_query(query, state_of(section), total, false);
    }
    const int64_t head = query % heads_per_key();
    finish_query(query, total, out_of(row, unit.kv_head) + head * call_->layer->head_dim);
  });
}

Attention::State Attention::state_at(float* memory, int64_t queries) const {
  return {.max = memory, .sum = memory + queries, .values = memory + 2 * queries};
}

Attention::Visible Attention::visible(int64_t row) const {
  const int64_t position = call_->rows.positions[static_cast<size_t>(row)];
  const bool is_sliding = call_->layer->kind == LayerKind::kSliding;
  return {is_sliding ? std::max<int64_t>(0, position - call_->layer->window + 1) : 0, position + 1};
}

const float* Attention::q_of(int64_t row, int64_t kv_head) const {
  const int64_t head = row * call_->layer->heads + kv_head * heads_per_key();
  return call_->q + head * call_->layer->head_dim;
}

float* Attention::out_of(int64_t row, int64_t kv_head) const {
  const int64_t head = row * call_->layer->heads + kv_head * heads_per_key();
  return call_->out + head * call_->layer->head_dim;
}

void Attention::gather_queries(const Unit& unit, Scratch& scratch) const {
  const int64_t row_numbers = heads_per_key() * call_->layer->head_dim;
  const bool is_bf16 = call_->cache->compute() == Compute::kBf16;
  scratch.q.resize(static_cast<size_t>(unit.group.count * row_numbers));
  if (is_bf16) scratch.q_bf16.resize(scratch.q.size());
  for (int64_t i = 0; i < unit.group.count; ++i) {
    const float* from = q_of(order_[static_cast<size_t>(unit.group.first + i)], unit.kv_head);
    std::copy_n(from, row_numbers, scratch.q.data() + i * row_numbers);
    if (is_bf16) kernels_.to_bf16(from, row_numbers, scratch.q_bf16.data() + i * row_numbers);
  }
}

// All sections of a unit, each merged as soon as it is there.
void Attention::attend_unit(const Unit& unit, Scratch& scratch) const {
  const int64_t queries = unit.group.count * heads_per_key();
  gather_queries(unit, scratch);
  scratch.section.resize(static_cast<size_t>(state_numbers(queries)));
  scratch.total.resize(static_cast<size_t>(state_numbers(queries)));
  const State part = state_at(scratch.section.data(), queries);
  const State total = state_at(scratch.total.data(), queries);
  for (int64_t section = unit.first_section; section < unit.section_end; ++section) {
    attend_section(unit, section, scratch, part);
    for (int64_t query = 0; query < queries; ++query) {
      const Visible keys = visible(order_[static_cast<size_t>(unit.group.first + query / heads_per_key())]);
      const bool is_seen = keys.begin < (section + 1) * kSectionKeys && keys.end > section * kSectionKeys;
      if (is_seen) merge_query(query, part, total, keys.begin >= section * kSectionKeys);
    }
  }
  for (int64_t query = 0; query < queries; ++query) {
    const int32_t row = order_[static_cast<size_t>(unit.group.first + query / heads_per_key())];
    const int64_t head = query % heads_per_key();
    finish_query(query, total, out_of(row, unit.kv_head) + head * call_->layer->head_dim);
  }
}

// Rows that see a whole block take it together; a row that sees a part of it has its own.
void Attention::attend_section(const Unit& unit, int64_t section, const Scratch& scratch,
                               const State& state) const {
  const int64_t head_dim = call_->layer->head_dim;
  const int64_t queries = unit.group.count * heads_per_key();
  std::fill_n(state.max, queries, kNothing);
  std::fill_n(state.sum, queries, 0.0F);
  std::fill_n(state.values, queries * head_dim, 0.0F);
  const bool is_bf16 = call_->cache->compute() == Compute::kBf16;
  const auto attend = is_bf16 ? kernels_.attend_bf16 : kernels_.attend_f32;
  BlockReader reader(*call_, order_[static_cast<size_t>(unit.group.first)], unit.kv_head);
  AttentionBlock block = {.head_dim = head_dim};
  for (int64_t begin = section * kSectionKeys; begin < (section + 1) * kSectionKeys; begin += kBlockKeys) {
    const auto part_of = [&](int64_t i, int64_t block_begin) {
      const Visible keys = visible(order_[static_cast<size_t>(unit.group.first + i)]);
      return Visible{std::max(block_begin, keys.begin), std::min(block_begin + kBlockKeys, keys.end)};
    };
    int64_t next = 0;
    for (int64_t i = 0; i < unit.group.count; i = next) {
      next = i + 1;
      const Visible keys = part_of(i, begin);
      if (keys.begin >= keys.end) continue;
      while (next < unit.group.count && part_of(next, begin) == keys) ++next;
      const Visible following = part_of(i, begin + kBlockKeys);
      reader.read(keys, following.begin < following.end ? following : Visible{0, 0}, block);
      const int64_t first = i * heads_per_key();
      block.queries = (next - i) * heads_per_key();
      block.q = scratch.q.data() + first * head_dim;
      block.q_bf16 = is_bf16 ? scratch.q_bf16.data() + first * head_dim : nullptr;
      block.max = state.max + first;
      block.sum = state.sum + first;
      block.out = state.values + first * head_dim;
      attend(block);
    }
  }
}

// Adds a section to those before it.
void Attention::merge_query(int64_t query, const State& section, const State& total, bool is_first) const {
  const int64_t head_dim = call_->layer->head_dim;
  float* const to = total.values + query * head_dim;
  const float* const from = section.values + query * head_dim;
  if (is_first) {
    total.max[query] = section.max[query];
    total.sum[query] = section.sum[query];
    std::copy_n(from, head_dim, to);
    return;
  }
  const float max = std::max(total.max[query], section.max[query]);
  std::array<float, 2> factors = {total.max[query] - max, section.max[query] - max};
  kernels_.exp(factors.data(), 2, factors.data());
  total.max[query] = max;
  total.sum[query] = total.sum[query] * factors[0] + section.sum[query] * factors[1];
  kernels_.mix(to, factors[0], from, factors[1], head_dim);
}

void Attention::finish_query(int64_t query, const State& total, float* out) const {
  const int64_t head_dim = call_->layer->head_dim;
  kernels_.scale(total.values + query * head_dim, 1.0F / total.sum[query], nullptr, head_dim, out);
}

}  // namespace beryl::backend
