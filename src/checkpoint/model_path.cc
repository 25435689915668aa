#include "checkpoint/model_path.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <system_error>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "base/quote.h"
#include "checkpoint/near_names.h"

namespace beryl::checkpoint {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kEntryPrefix = "models--";
constexpr std::string_view kSnapshots = "snapshots";
constexpr size_t kCommitDigits = 40;
// A ref holds 40 digits, perhaps with a newline.
constexpr uint64_t kRefBytesMax = 1024;

struct ModelId {
  std::string organisation;  // empty for the few models that have none
  std::string name;
  std::string revision;

  std::string text() const { return organisation.empty() ? name : organisation + "/" + name; }
  // The folder of this model in the cache.
  std::string entry() const {
    return std::string(kEntryPrefix) + (organisation.empty() ? name : organisation + "--" + name);
  }
};

std::string read_variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

bool is_commit(std::string_view text) {
  return text.size() == kCommitDigits && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// One component of an id as the hub allows it; safe as a part of a file name.
bool is_id_part(std::string_view text) {
  const auto is_allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  };
  return !text.empty() && text.size() <= 96 && std::all_of(text.begin(), text.end(), is_allowed) &&
         !text.starts_with('.') && !text.starts_with('-') && text.find("..") == std::string_view::npos &&
         text.find("--") == std::string_view::npos;
}

// A branch or tag may have slashes, as "refs/pr/1" has.
bool is_revision(std::string_view text) {
  if (text.size() > 256) return false;
  while (true) {
    const size_t slash = text.find('/');
    if (!is_id_part(text.substr(0, slash))) return false;
    if (slash == std::string_view::npos) return true;
    text.remove_prefix(slash + 1);
  }
}

std::optional<ModelId> find_model_id(std::string_view text) {
  ModelId id;
  id.revision = "main";
  if (const size_t at = text.find('@'); at != std::string_view::npos) {
    id.revision = text.substr(at + 1);
    text = text.substr(0, at);
  }
  if (const size_t slash = text.find('/'); slash != std::string_view::npos) {
    id.organisation = text.substr(0, slash);
    if (!is_id_part(id.organisation)) return std::nullopt;
    text.remove_prefix(slash + 1);
  }
  id.name = text;
  if (!is_id_part(id.name) || !is_revision(id.revision)) return std::nullopt;
  return id;
}

// Names of the folders in `directory`, sorted; empty when it cannot be listed.
std::vector<std::string> folder_names(const fs::path& directory) {
  std::vector<std::string> names;
  std::error_code error;
  fs::directory_iterator entry(directory, error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    std::error_code ignored;
    if (entry->is_directory(ignored)) names.push_back(entry->path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

// Ids of all models in the cache.
std::vector<std::string> cached_ids(const fs::path& cache) {
  std::vector<std::string> ids;
  for (const std::string& folder : folder_names(cache)) {
    if (!folder.starts_with(kEntryPrefix)) continue;
    std::string id = folder.substr(kEntryPrefix.size());
    if (const size_t dashes = id.find("--"); dashes != std::string::npos) id.replace(dashes, 2, "/");
    ids.push_back(std::move(id));
  }
  return ids;
}

// "did you mean 'a' or 'b'?", or `otherwise` when there is nothing to suggest.
std::string suggestion_text(const std::vector<std::string>& names, std::string otherwise) {
  if (names.empty()) return otherwise;
  std::string text = "did you mean ";
  for (size_t i = 0; i < names.size(); ++i) text += (i == 0 ? "" : " or ") + quote(names[i]);
  return text + "?";
}

std::vector<std::string> near_directories(const fs::path& path) {
  const fs::path parent = path.has_parent_path() ? path.parent_path() : ".";
  std::vector<std::string> near = find_near_names(path.filename().string(), folder_names(parent));
  for (std::string& name : near) name = (path.parent_path() / name).string();
  return near;
}

// Cached models near `id`; without an organisation its name alone is compared.
std::vector<std::string> near_ids(const ModelId& id, const std::vector<std::string>& cached) {
  if (!id.organisation.empty()) return find_near_names(id.text(), cached);
  std::vector<std::string> names;
  for (const std::string& candidate : cached) names.push_back(candidate.substr(candidate.find('/') + 1));
  const std::vector<std::string> near = find_near_names(id.name, names);
  std::vector<std::string> ids;
  for (size_t i = 0; i < cached.size(); ++i) {
    if (std::find(near.begin(), near.end(), names[i]) != near.end()) ids.push_back(cached[i]);
  }
  return ids;
}

[[noreturn]] void refuse_file(const fs::path& path) {
  const fs::path parent = path.has_parent_path() ? path.parent_path() : ".";
  throw Error(ErrorCode::kInvalidInput,
              fmt::format("'{}' is a file, expected the directory of a model, or a GGUF file", path.string()),
              fmt::format("give the directory that holds it: '{}'", parent.string()));
}

[[noreturn]] void refuse_absent_path(const fs::path& path) {
  if (path.extension() == ".gguf") {
    throw Error(ErrorCode::kNotFound, fmt::format("there is no file {}", quote(path.string())),
                "check the path; a model in parts is called by its first part, NAME-00001-of-00002.gguf");
  }
  throw Error(
      ErrorCode::kNotFound, fmt::format("there is no directory {}", quote(path.string())),
      suggestion_text(near_directories(path),
                      "give a directory with safetensors files, a GGUF file, or ORG/NAME of a cached model"));
}

// What was written as a path can only be meant as one. A revision may have slashes of its own.
bool is_spelt_as_path(std::string_view model) {
  const std::string_view before_revision = model.substr(0, model.find('@'));
  return model.starts_with('/') || model.starts_with('.') || model.starts_with('~') || model.ends_with('/') ||
         std::count(before_revision.begin(), before_revision.end(), '/') > 1;
}

[[noreturn]] void refuse_absent_model(std::string_view model, const ModelId& id,
                                      const std::optional<fs::path>& cache) {
  std::vector<std::string> near = near_directories(fs::path(model));
  if (cache) {
    for (std::string& candidate : near_ids(id, cached_ids(*cache))) near.push_back(std::move(candidate));
  }
  const std::string where =
      cache ? fmt::format("and no such model in the cache '{}'", cache->string())
            : "and no cache to look in: HF_HUB_CACHE, HF_HOME, XDG_CACHE_HOME and HOME are unset";
  throw Error(ErrorCode::kNotFound,
              fmt::format("model {} not found: there is no such directory {}", quote(id.text()), where),
              suggestion_text(near,
                              "nothing is downloaded: fetch the model first, for example with "
                              "'huggingface-cli download'"));
}

// The commit that a ref file holds.
std::string read_ref(const fs::path& path) {
  std::string text = read_text_file(path, kRefBytesMax);
  text.erase(text.find_last_not_of(" \t\r\n") + 1);
  if (!is_commit(text)) {
    throw Error(
        ErrorCode::kInvalidInput,
        fmt::format("'{}' holds {}, expected a commit of 40 hex digits", path.string(), quote(text, 60)),
        "the cache is damaged: download the model again");
  }
  return text;
}

ModelPath resolve_in_cache(const ModelId& id, const fs::path& entry) {
  std::error_code ignored;
  const std::string model = quote(fmt::format("{}@{}", id.text(), id.revision));
  const fs::path ref = entry / "refs" / id.revision;
  std::string commit = id.revision;
  if (!is_commit(id.revision)) {
    if (!fs::exists(ref, ignored)) {
      const std::vector<std::string> commits = folder_names(entry / kSnapshots);
      throw Error(
          ErrorCode::kNotFound, fmt::format("the cache holds no revision {}: no '{}'", model, ref.string()),
          commits.empty() ? "the download is incomplete: download the model again"
                          : fmt::format("cached is '{}@{}'", id.text(), printable(commits.front(), 60)));
    }
    commit = read_ref(ref);
  }
  const fs::path snapshot = entry / kSnapshots / commit;
  if (!fs::is_directory(snapshot, ignored)) {
    throw Error(ErrorCode::kNotFound,
                fmt::format("the cache holds no files of {}: no '{}'", model, snapshot.string()),
                "the download is incomplete: download the model again");
  }
  return {.path = snapshot, .name = id.text(), .commit = commit};
}

}  // namespace

CacheEnvironment read_cache_environment() {
  return {.hf_hub_cache = read_variable("HF_HUB_CACHE"),
          .hf_home = read_variable("HF_HOME"),
          .xdg_cache_home = read_variable("XDG_CACHE_HOME"),
          .home = read_variable("HOME")};
}

std::optional<fs::path> find_hub_cache(const CacheEnvironment& environment) {
  // The cache's own tools expand a leading "~" too, because files that set variables often do not.
  const auto expand = [&](const std::string& path) -> fs::path {
    const bool is_home = path == "~" || path.starts_with("~/");
    return is_home && !environment.home.empty() ? fs::path(environment.home + path.substr(1))
                                                : fs::path(path);
  };
  if (!environment.hf_hub_cache.empty()) return expand(environment.hf_hub_cache);
  if (!environment.hf_home.empty()) return expand(environment.hf_home) / "hub";
  if (!environment.xdg_cache_home.empty()) return expand(environment.xdg_cache_home) / "huggingface" / "hub";
  if (!environment.home.empty()) return fs::path(environment.home) / ".cache" / "huggingface" / "hub";
  return std::nullopt;
}

ModelPath resolve_model_path(std::string_view model, const CacheEnvironment& environment) {
  if (model.empty() || model.find('\0') != std::string_view::npos) {
    throw Error(ErrorCode::kInvalidInput,
                fmt::format("the model {} is neither a directory nor an id", quote(model)),
                "give a directory with safetensors files, a GGUF file, or ORG/NAME of a cached model");
  }
  const fs::path path(model);
  std::error_code ignored;
  const fs::file_status status = fs::status(path, ignored);
  if (fs::is_directory(status) || (fs::is_regular_file(status) && path.extension() == ".gguf")) {
    // A file of the cache is a link whose target has a name without meaning.
    const fs::path normal = fs::is_directory(status) ? fs::weakly_canonical(path, ignored) : path;
    return {.path = path, .name = normal.filename().string(), .commit = {}};
  }
  if (fs::exists(status)) refuse_file(path);
  if (is_spelt_as_path(model)) refuse_absent_path(path);

  const auto id = find_model_id(model);
  if (!id) {
    throw Error(
        ErrorCode::kInvalidInput,
        fmt::format("{} is neither a directory nor an id of the form ORG/NAME[@REVISION]", quote(model)),
        suggestion_text(near_directories(path), "check the spelling"));
  }
  const auto cache = find_hub_cache(environment);
  if (!cache || !fs::is_directory(*cache / id->entry(), ignored)) refuse_absent_model(model, *id, cache);
  return resolve_in_cache(*id, *cache / id->entry());
}

}  // namespace beryl::checkpoint
