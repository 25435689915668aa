#include "checkpoint/shard_set.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstddef>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/temporary_directory_for_tests.h"
#include "checkpoint/safetensors_writer_for_tests.h"

namespace beryl::checkpoint {
namespace {

namespace fs = std::filesystem;
using formats::DType;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr const char* kFirst = "model-00001-of-00002.safetensors";
constexpr const char* kSecond = "model-00002-of-00002.safetensors";

std::string shard_with(const std::vector<std::string>& names) {
  std::vector<TensorSpec> specs;
  for (const std::string& name : names) specs.push_back({name, DType::kBf16, {2, 3}});
  return make_safetensors(specs);
}

std::string index_text(const std::map<std::string, std::string>& weight_map) {
  return nlohmann::json({{"metadata", {{"total_size", 1}}}, {"weight_map", weight_map}}).dump();
}

// Two shards: the first with a and b, the second with c.
class ShardSetTest : public ::testing::Test {
 protected:
  ShardSetTest() {
    write(kFirst, shard_with({"a", "b"}));
    write(kSecond, shard_with({"c"}));
    write_index({{"a", kFirst}, {"b", kFirst}, {"c", kSecond}});
  }

  fs::path write(const fs::path& name, std::string_view bytes) { return directory_.write(name, bytes); }
  void write_index(const std::map<std::string, std::string>& weight_map) {
    write("model.safetensors.index.json", index_text(weight_map));
  }
  fs::path path(std::string_view name) const { return directory_.path() / name; }
  void remove_all_files() {
    for (const auto& entry : fs::directory_iterator(directory_.path())) fs::remove_all(entry.path());
  }

  // "message | help" of the Error that opening throws; "" when it opens.
  std::string refusal() const {
    try {
      const ShardSet set(directory_.path());
    } catch (const Error& error) {
      EXPECT_THAT(error.message(), HasSubstr(directory_.path().string()));
      return error.message() + " | " + error.help();
    }
    return "";
  }

  TemporaryDirectory directory_;
};

TEST_F(ShardSetTest, OpensAllShards) {
  const ShardSet set(directory_.path());
  ASSERT_EQ(set.tensors().records().size(), 3U);
  EXPECT_EQ(set.shards().size(), 2U);
  EXPECT_EQ(set.tensors().find("b")->range.file, &set.shards()[0].file);
  EXPECT_EQ(set.tensors().find("c")->range.file, &set.shards()[1].file);
  EXPECT_EQ(set.tensors().find("d"), nullptr);
  EXPECT_THAT(set.ignored_files(), IsEmpty());
}

TEST_F(ShardSetTest, RangesSurviveAMove) {
  ShardSet first(directory_.path());
  const ShardSet set = std::move(first);
  const FileRange range = set.tensors().find("c")->range;
  std::string bytes(range.bytes, '\0');
  range.file->read(range.offset, std::as_writable_bytes(std::span(bytes)));
  EXPECT_EQ(bytes, "abcdefghijkl");
}

TEST_F(ShardSetTest, ASingleFileNeedsNoIndex) {
  remove_all_files();
  write("model.safetensors", make_safetensors({{"a", DType::kF32, {2}}}, {{"format", "mlx"}}));
  const ShardSet set(directory_.path());
  EXPECT_NE(set.tensors().find("a"), nullptr);
  EXPECT_EQ(set.shards().front().metadata.at("format"), "mlx");
}

TEST_F(ShardSetTest, ASingleFileWithAnIndexThatNamesIt) {
  remove_all_files();
  write("model.safetensors", shard_with({"a"}));
  write_index({{"a", "model.safetensors"}});
  EXPECT_NE(ShardSet(directory_.path()).tensors().find("a"), nullptr);
  write_index({{"a", "model.safetensors"}, {"z", "model.safetensors"}});
  EXPECT_THAT(refusal(), HasSubstr("tensor 'z' is in 'model.safetensors', which does not hold it"));
}

TEST_F(ShardSetTest, ASingleFileBesideAnOutdatedIndex) {
  remove_all_files();
  write("model.safetensors", shard_with({"x"}));
  write_index({{"a", kFirst}, {"c", kSecond}});
  const ShardSet set(directory_.path());
  EXPECT_NE(set.tensors().find("x"), nullptr);
  EXPECT_THAT(set.ignored_files(), ElementsAre("model.safetensors.index.json"));
}

TEST_F(ShardSetTest, TwoCheckpointsInOneFolderAreRefused) {
  write("model.safetensors", shard_with({"a", "b", "c"}));
  EXPECT_THAT(refusal(),
              AllOf(HasSubstr("holds two checkpoints"), HasSubstr("'model.safetensors'"), HasSubstr(kFirst)));
}

TEST_F(ShardSetTest, OtherSafetensorsAreIgnoredAndListed) {
  write("consolidated.safetensors", "no safetensors at all");
  write("adapter_model.safetensors", "");
  EXPECT_THAT(ShardSet(directory_.path()).ignored_files(),
              ElementsAre("adapter_model.safetensors", "consolidated.safetensors"));
}

TEST_F(ShardSetTest, MissingShard) {
  fs::remove(path(kFirst));
  EXPECT_THAT(refusal(),
              AllOf(HasSubstr("1 of 2 shards missing: 'model-00001-of-00002.safetensors' (2 tensors)"),
                    HasSubstr("download is incomplete")));
  fs::remove(path(kSecond));
  EXPECT_THAT(refusal(), AllOf(HasSubstr("2 of 2 shards missing"),
                               HasSubstr("'model-00002-of-00002.safetensors' (1 t")));
}

TEST_F(ShardSetTest, SwappedShards) {
  write(kFirst, shard_with({"c"}));
  write(kSecond, shard_with({"a", "b"}));
  EXPECT_THAT(refusal(),
              AllOf(HasSubstr("tensor 'c' is in 'model-00001-of-00002.safetensors'"),
                    HasSubstr("says 'model-00002-of-00002.safetensors'"),
                    HasSubstr("(and 2 more such tensors)"), HasSubstr("download the model again")));
}

TEST_F(ShardSetTest, SameShardTwice) {
  write(kSecond, shard_with({"a", "b"}));
  EXPECT_THAT(refusal(),
              AllOf(HasSubstr("tensor 'a' is present twice"), HasSubstr(kFirst), HasSubstr(kSecond)));
}

TEST_F(ShardSetTest, TensorThatTheIndexDoesNotName) {
  write(kSecond, shard_with({"c", "d"}));
  EXPECT_THAT(refusal(), HasSubstr("tensor 'd' is in 'model-00002-of-00002.safetensors', but not in"));
}

TEST_F(ShardSetTest, TensorThatNoShardHolds) {
  write_index({{"a", kFirst}, {"b", kFirst}, {"c", kSecond}, {"d", kSecond}});
  EXPECT_THAT(
      refusal(),
      HasSubstr("says that tensor 'd' is in 'model-00002-of-00002.safetensors', which does not hold it"));
}

TEST_F(ShardSetTest, LinksIntoABlobFolderAreFollowed) {
  // The layout of the Hugging Face cache.
  for (const char* name : {kFirst, kSecond, "model.safetensors.index.json"}) {
    fs::create_directories(path("blobs"));
    fs::create_directories(path("snapshots/1"));
    fs::rename(path(name), path("blobs") / fmt::format("blob-{}", name));
    fs::create_symlink(fmt::format("../../blobs/blob-{}", name), path("snapshots/1") / name);
  }
  EXPECT_EQ(ShardSet(path("snapshots/1")).tensors().records().size(), 3U);
  fs::remove(path("blobs") / fmt::format("blob-{}", kSecond));
  try {
    const ShardSet set(path("snapshots/1"));
    FAIL() << "a link to nothing was opened";
  } catch (const Error& error) {
    EXPECT_THAT(error.message(),
                AllOf(HasSubstr("1 of 2 shards missing"),
                      HasSubstr("a link to '../../blobs/blob-model-00002-of-00002.safetensors'")));
  }
}

TEST_F(ShardSetTest, ShardsThatAreNoFiles) {
  fs::remove(path(kSecond));
  fs::create_directory(path(kSecond));
  EXPECT_THAT(refusal(), HasSubstr("model-00002-of-00002.safetensors' is not a regular file"));
  fs::remove(path(kSecond));
  ASSERT_EQ(::mkfifo(path(kSecond).c_str(), 0600), 0);
  EXPECT_THAT(refusal(), HasSubstr("model-00002-of-00002.safetensors' is not a regular file"));
  fs::remove(path(kSecond));
  fs::create_symlink("/dev/zero", path(kSecond));
  EXPECT_THAT(refusal(), HasSubstr("model-00002-of-00002.safetensors' is not a regular file"));
}

TEST_F(ShardSetTest, AnIndexThatIsNoFile) {
  fs::remove(path("model.safetensors.index.json"));
  ASSERT_EQ(::mkfifo(path("model.safetensors.index.json").c_str(), 0600), 0);
  EXPECT_THAT(refusal(), HasSubstr("is not a regular file"));
}

TEST_F(ShardSetTest, ALoopOfLinksIsMissing) {
  fs::remove(path(kSecond));
  fs::create_symlink(kSecond, path(kSecond));
  EXPECT_THAT(refusal(), HasSubstr("1 of 2 shards missing"));
}

TEST_F(ShardSetTest, EveryCutOfAShardIsRefused) {
  const std::string bytes = shard_with({"c"});
  for (size_t length = 0; length < bytes.size(); ++length) {
    write(kSecond, bytes.substr(0, length));
    EXPECT_THAT(refusal(), AllOf(HasSubstr(kSecond), HasSubstr("the download is incomplete"))) << length;
  }
}

TEST_F(ShardSetTest, EveryCutOfTheIndexIsRefused) {
  const std::string text = index_text({{"a", kFirst}, {"b", kFirst}, {"c", kSecond}});
  for (size_t length = 0; length < text.size(); ++length) {
    write("model.safetensors.index.json", text.substr(0, length));
    EXPECT_THAT(refusal(), HasSubstr("model.safetensors.index.json")) << length;
  }
}

TEST_F(ShardSetTest, EveryBitFlipOfTheIndexIsRefusedOrHarmless) {
  const std::string good = index_text({{"a", kFirst}, {"b", kFirst}, {"c", kSecond}});
  for (size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string text = good;
    text[bit / 8] = static_cast<char>(text[bit / 8] ^ (1 << (bit % 8)));
    write("model.safetensors.index.json", text);
    try {
      EXPECT_EQ(ShardSet(directory_.path()).tensors().records().size(), 3U) << bit;
    } catch (const Error& error) {
      EXPECT_THAT(error.message(), HasSubstr(directory_.path().string())) << bit;
    }
  }
}

TEST_F(ShardSetTest, FoldersWithoutWeightsSayWhatTheyHold) {
  remove_all_files();
  EXPECT_THAT(refusal(), AllOf(HasSubstr("holds no 'model.safetensors'"), HasSubstr("is empty")));
  write("README.md", "");
  EXPECT_THAT(refusal(), HasSubstr("it has 'README.md'"));
  write("pytorch_model.bin", "");
  EXPECT_THAT(refusal(), AllOf(HasSubstr("'pytorch_model.bin': pickled weights can run code"),
                               Not(HasSubstr("README"))));
  write("mmproj-BF16.gguf", "");
  EXPECT_THAT(refusal(), HasSubstr("'mmproj-BF16.gguf': no GGUF file of a language model"));
  write(kFirst, shard_with({"a"}));
  EXPECT_THAT(refusal(), AllOf(HasSubstr(kFirst), HasSubstr("no 'model.safetensors.index.json'")));
}

TEST(ShardSet, PublishedFoldersOpen) {
  const fs::path checkpoints = fs::path(BERYL_SOURCE_DIR) / "testdata/checkpoints";
  size_t opened = 0;
  for (const auto& entry : fs::directory_iterator(checkpoints)) {
    if (!fs::is_directory(entry.status()) || fs::exists(entry.path() / "model.gguf")) continue;
    EXPECT_FALSE(ShardSet(entry.path()).tensors().records().empty()) << entry.path();
    ++opened;
  }
  EXPECT_GT(opened, 0U);
  const ShardSet sharded(checkpoints / "moe-sharded");
  EXPECT_EQ(sharded.shards().size(), 3U);
  EXPECT_EQ(sharded.tensors().records().size(), 329U);
}

TEST(ShardSet, AMissingFolderIsNotFound) {
  try {
    const ShardSet set("/nonexistent/model");
    FAIL() << "opened";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kNotFound);
    EXPECT_THAT(error.message(), HasSubstr("/nonexistent/model"));
  }
}

}  // namespace
}  // namespace beryl::checkpoint
