#include "cli/serve_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/temporary_directory_for_tests.h"

namespace beryl::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// What a command line, an environment and a file give together.
ServeOptions parse(std::vector<std::string> arguments,
                   const std::vector<std::pair<std::string, std::string>>& environment = {}) {
  for (const auto& [name, value] : environment) ::setenv(name.c_str(), value.c_str(), 1);
  CLI::App command("serve");
  ServeOptions options;
  add_serve_options(command, options);
  std::reverse(arguments.begin(), arguments.end());
  command.parse(arguments);
  for (const auto& [name, value] : environment) ::unsetenv(name.c_str());
  if (!options.config.empty()) apply_config_file(command, options.config);
  return options;
}

template <typename Work>
std::string refusal_of(Work work) {
  try {
    work();
  } catch (const Error& error) {
    return error.message();
  }
  return "";
}

TEST(ServeOptions, NeedNothingButAModel) {
  const ServeOptions options = parse({"some/model"});
  EXPECT_EQ(options.model.model, "some/model");
  const server::HttpServerOptions http = http_options(options);
  EXPECT_EQ(http.host, "127.0.0.1");
  EXPECT_EQ(http.port, 8484);
  EXPECT_TRUE(http.gate.keys.empty());
  EXPECT_FALSE(http.gate.accepts_any_host);
}

TEST(ServeOptions, AreReadFromFlags) {
  const ServeOptions options =
      parse({"m", "--max-seqs", "3", "--kv-memory", "2g", "--step-ms", "250", "--queue", "7", "--access-log",
             "JSON", "--served-model-name", "a", "--served-model-name", "b", "--ctx", "4096"});
  EXPECT_EQ(options.engine.sequences_max, 3);
  EXPECT_EQ(options.engine.step_seconds_max, 0.25);
  EXPECT_EQ(options.engine.queue_requests_max, 7);
  EXPECT_EQ(options.access_log, server::AccessLogFormat::kJson);
  EXPECT_THAT(options.served_names, ElementsAre("a", "b"));
  const engine::MemoryWishes wishes = memory_wishes(options);
  EXPECT_EQ(wishes.kv_bytes, uint64_t{2} << 30);
  EXPECT_EQ(wishes.context, 4096);
  EXPECT_EQ(wishes.sequences, 3);
}

TEST(ServeOptions, HaveTwinsInTheEnvironment) {
  const ServeOptions options = parse({}, {{"BERYL_MODEL", "m"},
                                          {"BERYL_MAX_SEQS", "5"},
                                          {"BERYL_API_KEY", "secret"},
                                          {"BERYL_ANY_MODEL_NAME", "true"},
                                          {"BERYL_CORS_ORIGIN", "https://a.example"}});
  EXPECT_EQ(options.model.model, "m");
  EXPECT_EQ(options.engine.sequences_max, 5);
  EXPECT_THAT(options.api_keys, ElementsAre("secret"));
  EXPECT_TRUE(options.answers_any_name);
  EXPECT_THAT(options.cors_origins, ElementsAre("https://a.example"));
}

TEST(ServeOptions, PreferFlagsToEnvironmentToFile) {
  const TemporaryDirectory folder;
  const std::string file = folder.write("beryl.toml",
                                        "# settings\n"
                                        "model = \"from-file\"\n"
                                        "port = 1\n"
                                        "max-seqs = 2\n"
                                        "queue = 3\n"
                                        "insecure = true\n"
                                        "served-model-name = [\"a\", \"b\"]\n"
                                        "kv-memory = \"1g\"\n");
  const ServeOptions options =
      parse({"--config", file, "--port", "11"}, {{"BERYL_PORT", "12"}, {"BERYL_MAX_SEQS", "13"}});
  EXPECT_EQ(options.port, 11);
  EXPECT_EQ(options.engine.sequences_max, 13);
  EXPECT_EQ(options.engine.queue_requests_max, 3);
  EXPECT_EQ(options.model.model, "from-file");
  EXPECT_TRUE(options.is_insecure);
  EXPECT_THAT(options.served_names, ElementsAre("a", "b"));
  EXPECT_EQ(options.kv_bytes, uint64_t{1} << 30);
}

TEST(ServeOptions, RefuseWhatAFileCannotSay) {
  const TemporaryDirectory folder;
  const auto refusal = [&](const std::string& text) {
    const std::string file = folder.write("beryl.toml", text);
    return refusal_of([&] { parse({"m", "--config", file}); });
  };
  EXPECT_THAT(refusal("prot = 1\n"), HasSubstr("no option 'prot'"));
  EXPECT_THAT(refusal("config = \"x\"\n"), HasSubstr("no option 'config'"));
  EXPECT_THAT(refusal("[server]\nport = 1\n"), HasSubstr("server"));
  EXPECT_THAT(refusal("port = \"high\"\n"), HasSubstr("beryl.toml"));
  EXPECT_NE(refusal("max-seqs = 0\n"), "");
  EXPECT_EQ(refusal("max-seqs = 1\n"), "");
}

TEST(ServeOptions, DoNotOpenTheServerToOthersWithoutAKey) {
  const auto refusal = [](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "m");
    return refusal_of([&] { http_options(parse(arguments)); });
  };
  EXPECT_THAT(refusal({"--host", "0.0.0.0"}), HasSubstr("'0.0.0.0' can be reached by others"));
  EXPECT_THAT(refusal({"--host", "::"}), HasSubstr("can be reached by others"));
  EXPECT_EQ(refusal({"--host", "0.0.0.0", "--insecure"}), "");
  EXPECT_EQ(refusal({"--host", "0.0.0.0", "--api-key", "secret"}), "");
  EXPECT_EQ(refusal({"--host", "localhost"}), "");
  EXPECT_EQ(refusal({"--host", "::1"}), "");
  EXPECT_EQ(refusal({"--host", "0.0.0.0", "--unix-socket", "/tmp/x"}), "");
  EXPECT_THAT(refusal({"--tls-cert", "x"}), HasSubstr("go together"));
}

TEST(ServeOptions, TakeKeysFromAFile) {
  const TemporaryDirectory folder;
  const std::string file = folder.write("keys", "one alice\ntwo bob\n");
  const auto http =
      http_options(parse({"m", "--host", "0.0.0.0", "--api-key-file", file, "--api-key", "three"}));
  EXPECT_EQ(http.gate.keys.size(), 3U);
  EXPECT_EQ(http.gate.keys.find_label("two"), "bob");
}

}  // namespace
}  // namespace beryl::cli
