#include "backend/cpu/weight_arena.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"

namespace beryl::backend {
namespace {

constexpr uint64_t kHugePageBytes = uint64_t{2} << 20;

}  // namespace

WeightArena::WeightArena(uint64_t bytes) : mapped_bytes_(bytes + kHugePageBytes) {
  mapping_ = ::mmap(nullptr, mapped_bytes_, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping_ == MAP_FAILED) {
    throw Error(ErrorCode::kResource,
                fmt::format("cannot reserve {} bytes of memory: {}", bytes, std::strerror(errno)));
  }
  const auto address = reinterpret_cast<uintptr_t>(mapping_);
  const uintptr_t aligned = (address + kHugePageBytes - 1) / kHugePageBytes * kHugePageBytes;
  data_ = static_cast<std::byte*>(mapping_) + (aligned - address);
  // A hint only: without it the weights take 4 KiB pages and reads are slower.
  ::madvise(data_, bytes, MADV_HUGEPAGE);
}

WeightArena::~WeightArena() {
  ::munmap(mapping_, mapped_bytes_);
}

}  // namespace beryl::backend
