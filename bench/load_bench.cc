// load_bench MODEL [RUNS]: how long loading a checkpoint takes next to reading its files, in turn, medians.
//
// Reading is what `dd bs=1M` does: one thread, one pass, into a buffer. Both use the page cache; drop it
// before each run (as root, with --cold) to measure the disk.

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <string_view>
#include <vector>

#include "backend/cpu/cpu_backend.h"
#include "base/error.h"
#include "base/machine.h"
#include "checkpoint/checkpoint.h"
#include "model/network.h"

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void drop_page_cache() {
  ::sync();
  std::ofstream("/proc/sys/vm/drop_caches") << "1\n";
}

double time_reading(const beryl::checkpoint::ShardSet& shards, uint64_t& bytes) {
  std::vector<char> buffer(size_t{1} << 20);
  bytes = 0;
  const Clock::time_point start = Clock::now();
  for (const beryl::checkpoint::Shard& shard : shards.shards()) {
    const int file = ::open(shard.file.path().c_str(), O_RDONLY);
    while (true) {
      const ssize_t count = ::read(file, buffer.data(), buffer.size());
      if (count <= 0) break;
      bytes += static_cast<uint64_t>(count);
    }
    ::close(file);
  }
  return seconds_since(start);
}

double time_loading(const std::filesystem::path& model) {
  const Clock::time_point start = Clock::now();
  const auto checkpoint = beryl::checkpoint::Checkpoint::open(model);
  const auto backend = beryl::backend::make_cpu_backend({.threads = beryl::usable_processor_count()});
  beryl::NoProgress progress;
  const auto network =
      beryl::model::load_network(checkpoint.config(), checkpoint.weights(), *backend, progress);
  return seconds_since(start);
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string_view> arguments(argv + 1, argv + argc);
  const bool is_cold = std::erase(arguments, "--cold") > 0;
  if (arguments.empty()) {
    fmt::print(stderr, "usage: load_bench MODEL [RUNS] [--cold]\n");
    return 2;
  }
  const int runs = arguments.size() > 1 ? std::max(1, std::atoi(arguments[1].data())) : 5;
  try {
    const auto checkpoint = beryl::checkpoint::Checkpoint::open(arguments[0]);
    std::vector<double> reading;
    std::vector<double> loading;
    uint64_t bytes = 0;
    for (int run = 0; run <= runs; ++run) {
      if (is_cold) drop_page_cache();
      const double read_seconds = time_reading(checkpoint.shards(), bytes);
      if (is_cold) drop_page_cache();
      const double load_seconds = time_loading(arguments[0]);
      if (run == 0) continue;  // warms up
      reading.push_back(read_seconds);
      loading.push_back(load_seconds);
    }
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    const double gigabytes = static_cast<double>(bytes) / 1e9;
    fmt::print("files {:.2f} GB, weights {:.2f} GB published\n", gigabytes,
               static_cast<double>(checkpoint.weights().published_bytes()) / 1e9);
    fmt::print("reading {:.2f} s ({:.1f} GB/s), loading {:.2f} s ({:.1f} GB/s), loading / reading {:.2f}\n",
               median(reading), gigabytes / median(reading), median(loading), gigabytes / median(loading),
               median(loading) / median(reading));
    fmt::print("peak memory {:.2f} GB\n", static_cast<double>(usage.ru_maxrss) * 1024 / 1e9);
  } catch (const beryl::Error& error) {
    fmt::print(stderr, "error: {}\n", error.message());
    return 1;
  }
  return 0;
}
