// From what a user calls a model to the directory or file that holds it: a path, or the id of a model in the
// local Hugging Face cache. Nothing is downloaded, and nothing outside the cache is read for an id.
//
// The cache holds, for each model, models--ORG--NAME/ with refs/REVISION (a file with a commit's 40 hex
// digits) and snapshots/COMMIT/ (the files, as links into blobs/).
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace beryl::checkpoint {

// The environment variables that place the cache. An empty value counts as unset.
struct CacheEnvironment {
  std::string hf_hub_cache;    // HF_HUB_CACHE: the cache itself
  std::string hf_home;         // HF_HOME: the cache is hub/ in it
  std::string xdg_cache_home;  // XDG_CACHE_HOME: the cache is huggingface/hub/ in it
  std::string home;            // HOME: the cache is .cache/huggingface/hub/ in it
};

// Those of this process.
CacheEnvironment read_cache_environment();

// Where the cache is, the first variable that is set deciding; nothing when none is.
std::optional<std::filesystem::path> find_hub_cache(const CacheEnvironment& environment);

struct ModelPath {
  std::filesystem::path path;  // a directory, or a GGUF file
  // ORG/NAME of a cached model, or the directory's or file's own name.
  std::string name;
  // The snapshot's commit; empty for what is not in the cache.
  std::string commit;
};

// Resolves `model`: a directory, a file that ends in .gguf, or ORG/NAME[@REVISION] in the cache, REVISION
// being a branch, a tag or a commit of 40 hex digits, "main" by default. What exists wins over an id of the
// same spelling. Errors: kNotFound, with what may have been meant, for a model that is not there;
// kInvalidInput for another file, for a malformed id and for a damaged cache entry.
ModelPath resolve_model_path(std::string_view model, const CacheEnvironment& environment);

}  // namespace beryl::checkpoint
