// Names that came up once and need not be mentioned again.
#pragma once

#include <cstddef>
#include <mutex>
#include <set>
#include <string>

namespace beryl::server {

// Any thread.
class NotedNames {
 public:
  // True the first time. When there are too many to remember, false for every new one.
  bool is_new(const std::string& name) {
    const std::lock_guard lock(mutex_);
    return names_.size() < kNamesMax && names_.insert(name).second;
  }

 private:
  static constexpr size_t kNamesMax = 256;

  std::mutex mutex_;
  std::set<std::string> names_;
};

}  // namespace beryl::server
