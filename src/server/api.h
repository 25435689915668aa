// The protocol: what each path of the server answers, in the shapes of OpenAI's interface and of vLLM's
// extensions to it. docs/api.md describes it for users.
#pragma once

#include <memory>
#include <string>

#include "server/api_context.h"
#include "server/http.h"

namespace beryl::server {

struct ApiOptions {
  ApiHooks hooks = {};
  // Callers that HttpRequest::client tells apart share nothing in the prefix cache. For servers with keys.
  bool salts_by_client = false;
  std::string version = {};  // of /version
  // Threads that render, tokenise and compile grammars; 0: the caller of the handler does it.
  int threads = 2;
  text::grammar::GrammarLimits grammar_limits = {};
};

// Answers are given while it lives or after; the engine must outlive the last of them.
class Api {
 public:
  Api(ApiModel model, EnginePort& engine, ApiOptions options);
  // Waits for requests that are being read; answers go on.
  ~Api();
  Api(const Api&) = delete;
  Api& operator=(const Api&) = delete;

  // Any thread. Returns at once; the handler must not be called after the Api has gone.
  void handle(HttpRequest request, std::shared_ptr<HttpResponder> responder);
  HttpHandler handler() {
    return [this](HttpRequest request, std::shared_ptr<HttpResponder> responder) {
      handle(std::move(request), std::move(responder));
    };
  }
  // From now on /health and new requests are answered with 503.
  void begin_drain();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace beryl::server
