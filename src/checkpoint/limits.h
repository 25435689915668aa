// Limits on what the files of a checkpoint may ask for. Each is far above what published checkpoints need and
// low enough that a hostile file costs no more than about a second and a few hundred megabytes.
#pragma once

#include <cstddef>
#include <cstdint>

namespace beryl::checkpoint {

struct SafetensorsLimits {
  // A header takes about 150 bytes per tensor: 7 MB for the 47,648 tensors of a 26B-A4B file with per-expert
  // NVFP4 weights, the largest header known. Values above kHeaderBytesHardMax count as that.
  uint64_t header_bytes_max = 32ULL << 20;
  // Bytes alone do not bound the work: an empty tensor takes 50 bytes of header. Five times the largest
  // published count.
  uint64_t tensors_max = 262'144;
};

// The cap of the format itself; files beyond it are invalid for every reader.
inline constexpr uint64_t kHeaderBytesHardMax = 100'000'000;

struct GgufLimits {
  // The tokenizer of the published models takes 15.5 MB of header, the rest 100 kB.
  uint64_t header_bytes_max = 64ULL << 20;
  // Published files have 720 tensors at most, and 60 keys.
  uint64_t tensors_max = 65'536;
  uint64_t keys_max = 4'096;
  // Of one array; Google's vocabulary has 514,906 merges.
  uint64_t array_elements_max = 1ULL << 22;
};

// A model in parts; the largest published ones have ten.
inline constexpr size_t kGgufPartsMax = 256;

// Published names stay below 130 bytes; every message that names a tensor should fit on a screen.
inline constexpr size_t kTensorNameBytesMax = 512;

// Published weights have at most 4 dimensions.
inline constexpr size_t kTensorRankMax = 8;

// Keys and values of `__metadata__` together. Published files hold {"format":"pt"}; some trainers add a
// recipe.
inline constexpr uint64_t kMetadataBytesMax = 1ULL << 20;

// A 405B model in bf16 has 191 shards.
inline constexpr size_t kShardsMax = 1'024;

// model.safetensors.index.json repeats every tensor name of all headers with its file, about as long as a
// header.
inline constexpr uint64_t kIndexBytesMax = 32ULL << 20;

// config.json and its relatives; the largest published ones (skip lists with every module) have about 300 kB.
inline constexpr uint64_t kConfigBytesMax = 1ULL << 20;

// Dimensions of a network: far above every published size, and small enough that products of a few of them
// fit in 63 bits.
inline constexpr int64_t kLayersMax = 1'024;
inline constexpr int64_t kWidthMax = 1 << 20;
inline constexpr int64_t kVocabularyMax = 1 << 24;
inline constexpr int64_t kExpertsMax = 65'536;
inline constexpr int64_t kHeadDimMax = 4'096;
inline constexpr int64_t kPositionsMax = 1 << 28;

}  // namespace beryl::checkpoint
