#include "base/machine.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <limits>
#include <optional>
#include <sstream>
#include <string_view>

namespace beryl {
namespace {

// Files under /proc and /sys report a size of zero, so they are read to their end instead.
std::string read_system_file(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return file ? text.str() : std::string();
}

std::optional<uint64_t> leading_number(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return std::nullopt;
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data() + begin, text.data() + text.size(), value);
  return error == std::errc() ? std::optional(value) : std::nullopt;
}

// The value of "NAME:   123 kB" in bytes.
uint64_t memory_field(std::string_view meminfo, std::string_view name) {
  const size_t at = meminfo.find(name);
  if (at == std::string_view::npos) return 0;
  return leading_number(meminfo.substr(at + name.size())).value_or(0) * 1024;
}

// What the control group still allows (version 2, then 1); the largest number without a limit.
uint64_t control_group_allowance() {
  constexpr uint64_t kNoLimit = std::numeric_limits<uint64_t>::max();
  const std::pair<const char*, const char*> files[] = {
      {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"},
      {"/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"}};
  for (const auto& [limit_file, usage_file] : files) {
    const std::optional<uint64_t> limit = leading_number(read_system_file(limit_file));
    const std::optional<uint64_t> usage = leading_number(read_system_file(usage_file));
    if (limit && usage) return *limit - std::min(*limit, *usage);
  }
  return kNoLimit;
}

// The control group's share of processor time, in processors; 0 without a limit.
int control_group_processors() {
  const std::string text = read_system_file("/sys/fs/cgroup/cpu.max");
  const std::optional<uint64_t> quota = leading_number(text);
  const size_t space = text.find(' ');
  if (!quota || space == std::string::npos) return 0;
  const uint64_t period = leading_number(std::string_view(text).substr(space)).value_or(0);
  return period == 0 ? 0 : static_cast<int>((*quota + period - 1) / period);
}

}  // namespace

MachineMemory read_memory() {
  const std::string meminfo = read_system_file("/proc/meminfo");
  const uint64_t available = memory_field(meminfo, "MemAvailable:");
  return {.total_bytes = memory_field(meminfo, "MemTotal:"),
          .available_bytes = std::min(available, control_group_allowance())};
}

std::vector<int> usable_processors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> processors;
  if (::sched_getaffinity(0, sizeof(set), &set) != 0) return processors;
  for (int number = 0; number < CPU_SETSIZE; ++number) {
    if (CPU_ISSET(number, &set)) processors.push_back(number);
  }
  return processors;
}

int usable_processor_count() {
  const int count = std::max(1, static_cast<int>(usable_processors().size()));
  const int quota = control_group_processors();
  return quota > 0 ? std::min(count, quota) : count;
}

std::string processor_name() {
  const std::string text = read_system_file("/proc/cpuinfo");
  const size_t at = text.find("model name");
  if (at == std::string::npos) return {};
  const size_t colon = text.find(": ", at);
  const size_t end = text.find('\n', at);
  if (colon == std::string::npos || end == std::string::npos || colon > end) return {};
  return text.substr(colon + 2, end - colon - 2);
}

std::vector<ProcessorFeature> processor_features() {
#if defined(__x86_64__)
  return {{"avx2", __builtin_cpu_supports("avx2") != 0},
          {"fma", __builtin_cpu_supports("fma") != 0},
          {"f16c", __builtin_cpu_supports("f16c") != 0},
          {"avx512f", __builtin_cpu_supports("avx512f") != 0},
          {"avx512bw", __builtin_cpu_supports("avx512bw") != 0},
          {"avx512vl", __builtin_cpu_supports("avx512vl") != 0},
          {"avx512vbmi", __builtin_cpu_supports("avx512vbmi") != 0},
          {"avx512vnni", __builtin_cpu_supports("avx512vnni") != 0},
          {"avx512bf16", __builtin_cpu_supports("avx512bf16") != 0}};
#else
  return {};
#endif
}

uint64_t page_bytes() {
  return static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

std::string huge_page_mode() {
  const std::string text = read_system_file("/sys/kernel/mm/transparent_hugepage/enabled");
  const size_t open = text.find('[');
  const size_t close = text.find(']');
  if (open == std::string::npos || close == std::string::npos || close < open) return {};
  return text.substr(open + 1, close - open - 1);
}

}  // namespace beryl
