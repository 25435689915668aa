// Who wrote which byte: text from messages, tools and variables can never become a control token.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include "text/chat_template.h"
#include "text/template/reference_data.h"

namespace beryl::text {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::array<const char*, 24> kSpecialTokens = {"<pad>",
                                                        "<eos>",
                                                        "<bos>",
                                                        "<unk>",
                                                        "<mask>",
                                                        "<|tool>",
                                                        "<tool|>",
                                                        "<|tool_call>",
                                                        "<tool_call|>",
                                                        "<|tool_response>",
                                                        "<tool_response|>",
                                                        "<|\"|>",
                                                        "<|think|>",
                                                        "<|channel>",
                                                        "<channel|>",
                                                        "<|turn>",
                                                        "<turn|>",
                                                        "<|image>",
                                                        "<|audio>",
                                                        "<|image|>",
                                                        "<|audio|>",
                                                        "<image|>",
                                                        "<audio|>",
                                                        "<|video|>"};

constexpr std::array<const char*, 5> kTemplates = {
    "google-gemma-4-12B-26B-A4B-31B-it.chat_template.2026-07-09.jinja",
    "google-gemma-4-E2B-E4B-it.chat_template.2026-07-09.jinja",
    "google-gemma-4-large-it.chat_template.2026-05.jinja",
    "llamacpp-google-gemma-4-31B-it.jinja",
    "llamacpp-google-gemma-4-31B-it-interleaved.jinja",
};

// The output with the caller's bytes replaced by '.'.
std::string template_part(const RenderedPrompt& prompt) {
  std::string part(prompt.text.size(), '.');
  for (const Span& span : prompt.template_spans) {
    part.replace(span.begin, span.end - span.begin, prompt.text, span.begin, span.end - span.begin);
  }
  return part;
}

std::string template_part_of(const std::string& source, const Json& context) {
  return template_part(render_json(Template(source, "t"), context));
}

TEST(Provenance, SpansAscendAndDoNotTouch) {
  const Json context = {{"x", "user"}};
  const RenderedPrompt prompt =
      render_json(Template("a{{ x }}{{ 'b' }}c{{ x }}{{ '' }}{{ x }}d", "t"), context);
  EXPECT_EQ(prompt.text, "auserbcuseruserd");
  EXPECT_EQ(prompt.template_spans, (std::vector<Span>{{0, 1}, {5, 7}, {15, 16}}));
  EXPECT_TRUE(render_json(Template("{{ x }}", "t"), context).template_spans.empty());
}

TEST(Provenance, EveryOperationKeepsIt) {
  const Json context = {
      {"x", "user"}, {"m", {{"key", "val"}}}, {"l", {"p", "q"}}, {"n", 42}, {"w", " a  b "}};
  const std::pair<const char*, const char*> cases[] = {
      {"{{ 'ab' ~ x ~ 'cd' }}", "ab....cd"},
      {"{{ 'ab' + x }}", "ab...."},
      {"{{ ('ab' ~ x ~ 'cd')[1:7] }}", "b....c"},
      {"{{ ('ab' ~ x ~ 'cd')[::-1] }}", "dc....ba"},
      {"{{ ('ab' ~ x ~ 'cd')[::2] }}", "a..c"},
      {"{{ ('ab' ~ x)[2] ~ ('ab' ~ x)[0] }}", ".a"},
      {"{{ ('  ab ' ~ x ~ '  ') | trim }}", "ab ...."},
      {"{{ ('ab' ~ w) | trim }}|{{ (w ~ 'ab').strip() }}", "ab.....|.....ab"},
      {"{{ ('ab' ~ x) | upper }}{{ ('AB' ~ x) | lower }}{{ ('ab' ~ x) | title }}", "AB....ab....Ab...."},
      {"{{ (x ~ 'ab') | capitalize }}{{ (x ~ 'ab').title() }}", "....ab....ab"},
      {"{{ ('a-' ~ x ~ '-b') | replace('-', '+') }}", "a+....+b"},
      {"{{ ('a-' ~ x) | replace('-', x) }}", "a........"},
      {"{{ x | replace('s', '<|turn>') }}", ".<|turn>.."},
      {"{{ x | replace('s', x) }}", "......."},
      {"{{ l | join('-') }}{{ ['a', x, 'b'] | join(',') }}{{ ['a', 'b'] | join(x) }}", ".-.a,....,ba....b"},
      {"{{ '-'.join(l) }}{{ x.join(['a', 'b']) }}", ".-.a....b"},
      {"{{ ('a,' ~ x ~ ',b').split(',') | join }}", "a....b"},
      {"{{ ('a ' ~ x ~ ' b').split() | join }}{{ ('a,' ~ x ~ ',b').rsplit(',', 1) | join('|') }}",
       "a....ba,....|b"},
      {"{{ ('a\\n' ~ x).splitlines() | join }}", "a...."},
      {"{{ ('a' ~ x).removeprefix('a') }}{{ (x ~ 'a').removesuffix('r') }}", "........a"},
      {"{{ ('a' ~ x) * 2 }}", "a....a...."},
      {"{{ x if true else 'a' }}{{ 'a' if true else x }}", "....a"},
      {"{{ x | default('d') }}{{ u | default('d') }}{{ u | default(x) }}", "....d...."},
      {"{{ m.key }}{{ m['key'] }}{{ m.get('key') }}{{ m.get('no', 'd') }}", ".........d"},
      {"{% for k, v in m | dictsort %}{{ k }}={{ v }}{% endfor %}", "...=..."},
      {"{% for k, v in m.items() %}{{ k }}={{ v }}{% endfor %}{{ m | list | first }}{{ m.keys() | first }}",
       "...=........."},
      {"{% for c in 'a' ~ x %}{{ c }}{% endfor %}{{ ('a' ~ x) | list | join }}", "a....a...."},
      {"{{ ('a' ~ x) | first }}{{ ('a' ~ x) | last }}{{ ('a' ~ x) | reverse }}", "a.....a"},
      {"{{ n }}{{ n ~ 'a' }}{{ 5 }}{{ true }}{{ none }}{{ 1.5 }}", "....a............"},
      {"{{ ['a', x] }}", "..a.........."},
      {"{{ {'a': x} }}{{ {x: 'a'} }}", "..a....................a.."},
      {"{{ ['a\\'', x] | string }}", "..a'.........."},
      {"{{ ['a', x] | tojson }}{{ {'a': x} | tojson }}", "..a............a.........."},
      {"{{ ('a\\n' ~ x) | tojson }}", ".a\\n....."},
      {"{{ '%s-%s' % ('a', x) }}{{ x % () }}{{ '{}-{}'.format(x, 'a') }}", "a-............-a"},
      {"{{ '%5s|%d' % ('a', 5) }}{{ '%s' | format(x) }}", "....a|....."},
      {"{{ ('a\\n' ~ x) | indent(1) }}{{ 'a' | center(3) }}", "a.......a."},
      {"{{ ('<' ~ x) | escape }}{{ ('a' ~ x) | safe }}{{ ('a' ~ x) | string }}", "&lt;....a....a...."},
      {"{{ ('aa ' ~ x ~ x) | truncate(8, true, '...', 0) }}", "aa ....."},
      {"{% set y = 'a' ~ x %}{{ y }}{% set z %}b{{ y }}{% endset %}{{ z }}{% set q | upper %}c{{ x }}{% "
       "endset %}{{ q }}",
       "a....ba....C...."},
      {"{% macro f(p) %}<{{ p }}>{% endmacro %}{{ f(x) }}{{ f('a') }}{{ f(f(x)) }}", "<....><a><<....>>"},
      {"{% set ns = namespace(s='a') %}{% set ns.s = ns.s + x %}{{ ns.s }}{{ ns['s'] }}", "a....a...."},
      {"{% filter upper %}a{{ x }}{% endfilter %}{% generation %}a{{ x }}{% endgeneration %}", "A....a...."},
      {"{% macro f() %}[{{ caller() }}]{% endmacro %}{% call f() %}a{{ x }}{% endcall %}", "[a....]"},
      {"{{ [x, 'a'] | map('upper') | join }}{{ [{'k': x}] | map(attribute='k') | join }}", "....A...."},
      {"{{ ['b', x] | sort | join }}{{ ['b', x] | max }}{{ ['b', x, 'b'] | unique | join }}",
       "b........b...."},
      {"{{ {'u': 'T'}[x[0]] }}{{ dict(a=x).a }}{{ dict(a='b').a }}", "T....b"},
      {"{{ bos_token }}{{ bos_token ~ x }}", "<bos><bos>...."},
  };
  for (const auto& [source, expected] : cases)
    EXPECT_EQ(template_part_of(source, context), expected) << source;
}

TEST(Provenance, HalfATokenFromEachIsNone) {
  const Json context = {{"x", "turn>"}, {"y", "<|"}};
  for (const char* source :
       {"{{ '<|' ~ x }}", "{{ y ~ 'turn>' }}", "<|{{ x }}", "{{ y }}turn>", "{{ '<|%s' % x }}",
        "{{ ['<|', x] | join }}", "{{ '<|Z' | replace('Z', x) }}", "{{ y }}{{ x }}"}) {
    const RenderedPrompt prompt = render_json(Template(source, "t"), context);
    EXPECT_EQ(prompt.text, "<|turn>") << source;
    EXPECT_EQ(template_part(prompt).find("<|turn>"), std::string::npos) << source;
  }
  // Two pieces of the template are its own word.
  EXPECT_EQ(template_part_of("{{ '<|' ~ 'turn>' }}", context), "<|turn>");
}

// A request in which `poison` is everywhere that a client can put text.
Json poisoned_request(const std::string& poison) {
  const std::string p = "A" + poison + "B";
  return {
      {"messages",
       {{{"role", "system"}, {"content", p}},
        {{"role", "user"}, {"content", p}},
        {{"role", "assistant"},
         {"content", "plain " + p},
         {"reasoning", p},
         {"tool_calls",
          {{{"id", p}, {"function", {{"name", p}, {"arguments", {{p, p}, {"list", {p, {{p, p}}}}}}}}}}}},
        {{"role", "tool"}, {"tool_call_id", p}, {"content", p}},
        {{"role", "developer"}, {"content", {{{"type", "text"}, {"text", p}}}}},
        {{"role", "user"}, {"content", {{{"type", "text"}, {"text", p}}, {{"type", "text"}, {"text", p}}}}},
        {{"role", "assistant"},
         {"content", nullptr},
         {"reasoning", p},
         {"tool_calls", {{{"id", "c"}, {"function", {{"name", "f"}, {"arguments", p}}}}}}},
        {{"role", "tool"}, {"name", p}, {"content", {{{"type", "text"}, {"text", p}}}}}}},
      {"tools",
       {{{"function",
          {{"name", "f"},
           {"description", p},
           {"parameters",
            {{"type", p},
             {"properties",
              {{p, {{"type", "string"}, {"description", p}, {"enum", {p}}}},
               {"o", {{"type", "object"}, {"properties", {{p, {{"type", p}}}}}, {"required", {p}}}},
               {"a", {{"type", "array"}, {"items", {{"type", {p}}, {p, {{p, p}}}}}}}}},
             {"required", {p}}}},
           {"response", {{"type", "object"}, {"description", p}}}}}}}}};
}

RenderedPrompt render_request(const ChatTemplate& chat_template, const Json& request, bool enables_thinking) {
  ChatOptions options;
  options.enables_thinking = enables_thinking;
  options.preserves_thinking = true;
  return chat_template.render(parse_conversation(request["messages"], request["tools"]), options).rendered;
}

int count(const std::string& text, const std::string& part) {
  int found = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

TEST(Provenance, SpecialTokensComeFromTheTemplateAlone) {
  for (const char* file : kTemplates) {
    const ChatTemplate chat_template(chat_template_file(file), file);
    for (const bool enables_thinking : {false, true}) {
      const RenderedPrompt clean = render_request(chat_template, poisoned_request("zz"), enables_thinking);
      const int fields = count(clean.text, "zz") + count(clean.text, "ZZ");
      EXPECT_GT(fields, 20) << file;
      for (const char* token : kSpecialTokens) {
        SCOPED_TRACE(std::string(file) + " " + token);
        const RenderedPrompt prompt =
            render_request(chat_template, poisoned_request(token), enables_thinking);
        const std::string own = template_part(prompt);
        for (const char* other : kSpecialTokens) {
          EXPECT_EQ(count(own, other), count(template_part(clean), other)) << other;
        }
        // Reasoning marks are cut out of the assistant's words by the template; all else is intact.
        const bool is_stripped = std::string(token).find("channel") != std::string::npos;
        const std::string poison = std::string("A") + token + "B";
        const std::string upper_poison = [&] {
          std::string text = poison;
          for (char& c : text) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
          return text;
        }();
        const int intact =
            count(prompt.text, poison) + (upper_poison == poison ? 0 : count(prompt.text, upper_poison));
        EXPECT_EQ(intact, fields - (is_stripped ? 1 : 0));
        EXPECT_EQ(own.find(poison), std::string::npos);
      }
    }
  }
}

TEST(Provenance, KeysAndRolesAndVariablesAreTheCallers) {
  const ChatTemplate chat_template(
      "{% for m in messages %}{{ m.role }}{% for k, v in m.items() %}{{ k }}{% endfor %}{% endfor %}{{ style "
      "}}",
      "t");
  ChatOptions options;
  options.variables["style"] = "<|turn>";
  const Conversation conversation =
      parse_conversation(Json::parse(R"([{"role":"user","content":"x"}])"), nullptr);
  const RenderedPrompt prompt = chat_template.render(conversation, options).rendered;
  EXPECT_EQ(prompt.text, "userrolecontent<|turn>");
  EXPECT_TRUE(prompt.template_spans.empty());
}

}  // namespace
}  // namespace beryl::text
