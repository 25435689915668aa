// load_bench MODEL... [RUNS]: how long loading a checkpoint takes next to reading its files, in turn,
// medians. Several checkpoints are loaded in turn and compared with the first, run by run.
//
// Reading is what `dd bs=1M` does: one thread, one pass, into a buffer. Both use the page cache; drop it
// before each run (as root, with --cold) to measure the disk.

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
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

// Of all threads of this process, in the system too.
double processor_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
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

// A model and how long it took, in seconds.
struct Measured {
  std::filesystem::path path;
  double file_bytes = 0;
  double published_bytes = 0;
  std::vector<double> reading = {};
  std::vector<double> loading = {};
  std::vector<double> processor = {};  // time while loading
};

void measure(Measured& model, bool is_cold, bool is_warm_up) {
  const auto checkpoint = beryl::checkpoint::Checkpoint::open(model.path);
  uint64_t bytes = 0;
  if (is_cold) drop_page_cache();
  const double read_seconds = time_reading(checkpoint.shards(), bytes);
  if (is_cold) drop_page_cache();
  const double processor_before = processor_seconds();
  const double load_seconds = time_loading(model.path);
  model.file_bytes = static_cast<double>(bytes);
  model.published_bytes = static_cast<double>(checkpoint.weights().published_bytes());
  if (is_warm_up) return;
  model.reading.push_back(read_seconds);
  model.processor.push_back(processor_seconds() - processor_before);
  model.loading.push_back(load_seconds);
}

// Of what each run took for a published byte.
void print_ratios(std::string_view what, const Measured& model, const std::vector<double>& taken,
                  const Measured& first, const std::vector<double>& first_taken) {
  std::vector<double> ratios;
  for (size_t i = 0; i < taken.size(); ++i) {
    ratios.push_back(taken[i] / model.published_bytes * first.published_bytes / first_taken[i]);
  }
  std::sort(ratios.begin(), ratios.end());
  fmt::print("  {} a byte over those of {}: median {:.2f}, from {:.2f} to {:.2f}\n", what,
             first.path.string(), median(ratios), ratios.front(), ratios.back());
}

void print(const Measured& model, const Measured& first) {
  const double read_seconds = median(model.reading);
  const double load_seconds = median(model.loading);
  fmt::print("{}: files {:.2f} GB, weights {:.2f} GB published\n", model.path.string(),
             model.file_bytes / 1e9, model.published_bytes / 1e9);
  fmt::print("  reading {:.2f} s ({:.1f} GB/s), loading {:.2f} s ({:.1f} GB/s), loading / reading {:.2f}\n",
             read_seconds, model.file_bytes / 1e9 / read_seconds, load_seconds,
             model.published_bytes / 1e9 / load_seconds, load_seconds / read_seconds);
  if (&model != &first) {
    print_ratios("seconds", model, model.loading, first, first.loading);
    print_ratios("processor seconds", model, model.processor, first, first.processor);
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string_view> arguments(argv + 1, argv + argc);
  const bool is_cold = std::erase(arguments, "--cold") > 0;
  int runs = 5;
  if (!arguments.empty()) {
    const std::string_view last = arguments.back();
    int number = 0;
    const auto [end, failure] = std::from_chars(last.begin(), last.end(), number);
    if (failure == std::errc() && end == last.end() && number > 0) {  // a path may begin with a digit
      runs = number;
      arguments.pop_back();
    }
  }
  if (arguments.empty()) {
    fmt::print(stderr, "usage: load_bench MODEL... [RUNS] [--cold]\n");
    return 2;
  }
  try {
    std::vector<Measured> models;
    for (const std::string_view path : arguments) models.push_back({.path = path});
    for (int run = 0; run <= runs; ++run) {
      for (Measured& model : models) measure(model, is_cold, run == 0);
    }
    for (const Measured& model : models) print(model, models.front());
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    fmt::print("peak memory {:.2f} GB\n", static_cast<double>(usage.ru_maxrss) * 1024 / 1e9);
  } catch (const beryl::Error& error) {
    fmt::print(stderr, "error: {}\n", error.message());
    return 1;
  }
  return 0;
}
