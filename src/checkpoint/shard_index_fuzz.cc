// Fuzzes the reader of model.safetensors.index.json. Property: what is accepted maps tensors to plain file
// names.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "base/error.h"
#include "checkpoint/limits.h"
#include "checkpoint/shard_index.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace beryl::checkpoint;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const ShardIndex index = parse_shard_index(text, "index");
    BERYL_CHECK(!index.shards.empty() && index.shards.size() <= kShardsMax);
    size_t tensors = 0;
    for (size_t i = 0; i < index.shards.size(); ++i) {
      const std::string& name = index.shards[i];
      BERYL_CHECK(name.find('/') == std::string::npos && name.find('\0') == std::string::npos);
      BERYL_CHECK(name.find("..") == std::string::npos && name.ends_with(".safetensors"));
      BERYL_CHECK(i == 0 || index.shards[i - 1] < name);
      BERYL_CHECK(index.tensor_count(i) > 0);
      tensors += index.tensor_count(i);
    }
    BERYL_CHECK(tensors == index.shard_of.size());
  } catch (const beryl::Error& error) {
    BERYL_CHECK(error.message().size() < 2'000);
  }
  return 0;
}
