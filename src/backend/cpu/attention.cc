#include "backend/cpu/attention.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "base/number_types.h"

namespace beryl::backend {
namespace {

constexpr float kNothing = -std::numeric_limits<float>::infinity();

void scale_by(float factor, float* values, int64_t count) {
  if (factor == 1.0F) return;
  for (int64_t i = 0; i < count; ++i) values[i] *= factor;
}

// The visible keys of one block: positions first ... first + count - 1, read into the scratch.
struct KeyBlock {
  int64_t count;
  const float* keys;
  const float* values;
};

KeyBlock read_block(const AttentionTask& task, int64_t first, int64_t end, AttentionScratch& scratch) {
  const auto head_dim = static_cast<size_t>(task.layer->head_dim);
  const int64_t tokens_per_page = task.cache->shape().tokens_per_page;
  for (int64_t position = first; position < end; ++position) {
    const int32_t page = task.pages[static_cast<size_t>(position / tokens_per_page)];
    const int64_t slot = position % tokens_per_page;
    const size_t index = static_cast<size_t>(position - first) * head_dim;
    task.cache->read(task.layer->cache_layer, CpuCache::Side::kKeys, page, slot, task.kv_head,
                     {scratch.keys.data() + index, head_dim});
    task.cache->read(task.layer->cache_layer, CpuCache::Side::kValues, page, slot, task.kv_head,
                     {scratch.values.data() + index, head_dim});
  }
  return {end - first, scratch.keys.data(), scratch.values.data()};
}

// One step of the online softmax: rescales what the section holds to the new maximum, then adds the block's
// values by their weights.
void add_block(const Kernels& kernels, const AttentionTask& task, const KeyBlock& block, int64_t head,
               AttentionScratch& scratch) {
  const int64_t head_dim = task.layer->head_dim;
  const float* q = task.q + head * head_dim;
  std::array<float, kBlockKeys> scores{};
  float block_max = kNothing;
  for (int64_t j = 0; j < block.count; ++j) {
    const float score = kernels.dot(q, block.keys + j * head_dim, head_dim);
    scores[static_cast<size_t>(j)] = score;
    block_max = std::max(block_max, score);
  }
  float& max = scratch.section_max[static_cast<size_t>(head)];
  float& sum = scratch.section_sum[static_cast<size_t>(head)];
  float* out = scratch.section.data() + head * head_dim;
  const float new_max = std::max(max, block_max);
  const float factor = max == kNothing ? 1.0F : std::exp(max - new_max);
  max = new_max;
  sum *= factor;
  scale_by(factor, out, head_dim);
  for (int64_t j = 0; j < block.count; ++j) {
    const float exact_weight = std::exp(scores[static_cast<size_t>(j)] - new_max);
    // The sum takes the rounded weights too, so that they add up to one.
    const float weight = task.compute == Compute::kBf16 ? round_to_bf16(exact_weight) : exact_weight;
    sum += weight;
    const float* value = block.values + j * head_dim;
    for (int64_t d = 0; d < head_dim; ++d) out[d] += weight * value[d];
  }
}

// Adds the finished section to the total of those before it.
void merge_section(int64_t head_dim, int64_t head, AttentionScratch& scratch) {
  const auto h = static_cast<size_t>(head);
  const float* section = scratch.section.data() + head * head_dim;
  float* total = scratch.total.data() + head * head_dim;
  if (scratch.total_max[h] == kNothing) {
    scratch.total_max[h] = scratch.section_max[h];
    scratch.total_sum[h] = scratch.section_sum[h];
    std::copy_n(section, head_dim, total);
    return;
  }
  const float max = std::max(scratch.total_max[h], scratch.section_max[h]);
  const float total_factor = std::exp(scratch.total_max[h] - max);
  const float section_factor = std::exp(scratch.section_max[h] - max);
  scratch.total_max[h] = max;
  scratch.total_sum[h] = scratch.total_sum[h] * total_factor + scratch.section_sum[h] * section_factor;
  for (int64_t d = 0; d < head_dim; ++d) total[d] = total[d] * total_factor + section[d] * section_factor;
}

void reset(std::vector<float>& values, int64_t count, float to) {
  values.assign(static_cast<size_t>(count), to);
}

}  // namespace

void attend(const Kernels& kernels, const AttentionTask& task, AttentionScratch& scratch) {
  const int64_t heads = task.layer->heads / task.layer->kv_heads;
  const int64_t head_dim = task.layer->head_dim;
  const bool is_sliding = task.layer->kind == LayerKind::kSliding;
  const int64_t first_key = is_sliding ? std::max<int64_t>(0, task.position - task.layer->window + 1) : 0;
  const int64_t key_end = task.position + 1;

  scratch.keys.resize(static_cast<size_t>(kBlockKeys * head_dim));
  scratch.values.resize(static_cast<size_t>(kBlockKeys * head_dim));
  reset(scratch.total, heads * head_dim, 0.0F);
  reset(scratch.total_max, heads, kNothing);
  reset(scratch.total_sum, heads, 0.0F);
  for (int64_t section = first_key / kSectionKeys * kSectionKeys; section < key_end;
       section += kSectionKeys) {
    reset(scratch.section, heads * head_dim, 0.0F);
    reset(scratch.section_max, heads, kNothing);
    reset(scratch.section_sum, heads, 0.0F);
    const int64_t section_end = std::min(section + kSectionKeys, key_end);
    for (int64_t block = section; block < section_end; block += kBlockKeys) {
      const int64_t begin = std::max(block, first_key);
      const int64_t end = std::min(block + kBlockKeys, section_end);
      if (begin >= end) continue;
      const KeyBlock visible = read_block(task, begin, end, scratch);
      for (int64_t head = 0; head < heads; ++head) add_block(kernels, task, visible, head, scratch);
    }
    for (int64_t head = 0; head < heads; ++head) merge_section(head_dim, head, scratch);
  }
  for (int64_t head = 0; head < heads; ++head) {
    const float inverse = 1.0F / scratch.total_sum[static_cast<size_t>(head)];
    const float* total = scratch.total.data() + head * head_dim;
    float* out = task.out + head * head_dim;
    for (int64_t d = 0; d < head_dim; ++d) out[d] = total[d] * inverse;
  }
}

}  // namespace beryl::backend
