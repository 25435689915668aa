#include "text/template/filters.h"

#include <algorithm>

namespace beryl::text {

FilterFunction find_filter(std::string_view name) {
  for (const auto filters : {text_filters(), number_filters(), list_filters(), selection_filters()}) {
    const auto found = std::find_if(filters.begin(), filters.end(),
                                    [name](const NamedFilter& entry) { return entry.name == name; });
    if (found != filters.end()) return found->call;
  }
  return nullptr;
}

}  // namespace beryl::text
