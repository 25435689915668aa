#include "base/memory_bandwidth.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <barrier>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <thread>
#include <vector>

#include "base/machine.h"

namespace beryl {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kBufferBytesMin = size_t{128} << 20;
constexpr size_t kBufferBytesMax = size_t{1} << 30;
// The buffer is at least so many times as large as the last cache.
constexpr size_t kCacheMultiple = 4;
// Read between two looks at the clock.
constexpr size_t kBlockBytes = size_t{1} << 20;

size_t buffer_bytes() {
  const auto cache = static_cast<size_t>(std::max(0L, ::sysconf(_SC_LEVEL3_CACHE_SIZE)));
  const size_t wanted = std::clamp(cache * kCacheMultiple, kBufferBytesMin, kBufferBytesMax);
  const auto affordable = static_cast<size_t>(read_memory().available_bytes / 4);
  return std::min(wanted, affordable) / kBlockBytes * kBlockBytes;
}

// Anonymous memory in large pages where the system has them, as weights are.
class Buffer {
 public:
  explicit Buffer(size_t bytes) : bytes_(bytes) {
    void* data = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data == MAP_FAILED) return;
    ::madvise(data, bytes, MADV_HUGEPAGE);  // a wish
    data_ = static_cast<std::byte*>(data);
  }
  ~Buffer() {
    if (data_ != nullptr) ::munmap(data_, bytes_);
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  std::span<std::byte> bytes() const { return {data_, data_ == nullptr ? 0 : bytes_}; }

 private:
  std::byte* data_ = nullptr;
  size_t bytes_;
};

// Independent sums, so that loads wait for no addition.
uint64_t sum_block(const std::byte* block) {
  constexpr size_t kLanes = 32;
  std::array<uint64_t, kLanes> sums{};
  for (size_t at = 0; at < kBlockBytes; at += sizeof(sums)) {
    std::array<uint64_t, kLanes> words;
    std::memcpy(words.data(), block + at, sizeof(words));
    for (size_t i = 0; i < kLanes; ++i) sums[i] += words[i];
  }
  uint64_t total = 0;
  for (const uint64_t sum : sums) total += sum;
  return total;
}

}  // namespace

double measure_read_bandwidth(int threads, std::chrono::duration<double> duration) {
  const auto count = static_cast<size_t>(std::max(1, threads));
  const Buffer buffer(buffer_bytes());
  const size_t blocks = buffer.bytes().size() / kBlockBytes / count;
  if (blocks == 0) return 0;
  std::vector<double> speeds(count);
  std::atomic<uint64_t> sink{0};  // keeps the sums from being left out
  std::barrier filled(static_cast<std::ptrdiff_t>(count));
  const auto work = [&](size_t thread) {
    const std::span<std::byte> part =
        buffer.bytes().subspan(thread * blocks * kBlockBytes, blocks * kBlockBytes);
    std::memset(part.data(), 1, part.size());
    filled.arrive_and_wait();
    const Clock::time_point start = Clock::now();
    std::chrono::duration<double> passed{};
    size_t done = 0;
    do {
      sink += sum_block(part.data() + done % blocks * kBlockBytes);
      ++done;
      passed = Clock::now() - start;
    } while (passed < duration);
    speeds[thread] = static_cast<double>(done * kBlockBytes) / passed.count();
  };
  {
    std::vector<std::jthread> others;
    for (size_t thread = 1; thread < count; ++thread) others.emplace_back(work, thread);
    work(0);
  }
  double total = 0;
  for (const double speed : speeds) total += speed;
  return total;
}

}  // namespace beryl
