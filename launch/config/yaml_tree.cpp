#include "launch/config/yaml_tree.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <optional>
#include <sstream>
#include <utility>

namespace weft {

namespace {

constexpr size_t kDeepest = 16;

struct TooDeep {
  int line;
  int column;
};

class TreeBuilder : public YAML::EventHandler {
 public:
  explicit TreeBuilder(YamlDocument& document) : document_(document) {}

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    add(checked(node(YamlNode::Kind::null, mark), "", anchor));
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    YamlNode alias = node(YamlNode::Kind::refused, mark);
    refuse(alias, "an alias (*name) is not allowed; write the value out");
    add(std::move(alias));
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    YamlNode scalar = node(YamlNode::Kind::scalar, mark);
    scalar.scalar = {.text = value, .quoted = tag == "!"};
    add(checked(std::move(scalar), tag, anchor));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(checked(node(YamlNode::Kind::list, mark), tag, anchor));
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(checked(node(YamlNode::Kind::map, mark), tag, anchor));
  }
  void OnMapEnd() override { close(); }

 private:
  static YamlNode node(YamlNode::Kind kind, const YAML::Mark& mark) {
    YamlNode result;
    result.kind = kind;
    result.line = mark.line + 1;
    result.column = mark.column + 1;
    return result;
  }

  void refuse(YamlNode& at, std::string message) {
    document_.problems.push_back({at.line, at.column, std::move(message)});
    at.kind = YamlNode::Kind::refused;
  }

  // "?" marks a plain scalar or collection, "!" a quoted scalar; everything else the user wrote.
  YamlNode checked(YamlNode result, const std::string& tag, YAML::anchor_t anchor) {
    if (anchor != 0) {
      refuse(result, "an anchor (&name) is not allowed; write the value where it is used");
    } else if (!tag.empty() && tag != "?" && tag != "!") {
      refuse(result, fmt::format("a tag ({}) is not allowed; remove it", shown(tag)));
    }
    return result;
  }

  void open(YamlNode collection) {
    if (open_.size() >= kDeepest) throw TooDeep{collection.line, collection.column};
    open_.push_back(std::move(collection));
  }

  void close() {
    YamlNode done = std::move(open_.back());
    open_.pop_back();
    add(std::move(done));
  }

  void add(YamlNode done) {
    if (open_.empty()) {
      document_.root = std::move(done);
    } else {
      open_.back().items.push_back(std::move(done));
    }
  }

  YamlDocument& document_;
  std::vector<YamlNode> open_;  // the collections around the next event, outermost first
};

// The number of the first line that is indented with a tab, which YAML often trips over.
std::optional<int> line_indented_with_tab(std::string_view text) {
  int line = 1;
  bool indentation = true;
  for (const char c : text) {
    if (c == '\t' && indentation) return line;
    indentation = c == '\n' || (indentation && c == ' ');
    if (c == '\n') ++line;
  }
  return std::nullopt;
}

std::string syntax_problem(const YAML::Exception& error, std::string_view text) {
  if (error.msg.starts_with(YAML::ErrorMsg::UNKNOWN_ANCHOR)) {  // from 0.8 on its name follows
    return "an alias (*name) is not allowed; a text that starts with * needs quotes";
  }
  std::string message = fmt::format("not valid YAML: {}", error.msg);
  if (const auto line = line_indented_with_tab(text)) {
    message += fmt::format("; line {} is indented with a tab, use spaces", *line);
  }
  return message;
}

}  // namespace

YamlDocument parse_yaml(const std::string& text) {
  YamlDocument document;
  const auto give_up = [&document](int line, int column, std::string message) {
    document.problems.push_back({line, column, std::move(message)});
    document.root = {};
    document.root.kind = YamlNode::Kind::refused;
  };
  try {
    std::istringstream stream(text);
    YAML::Parser parser(stream);
    TreeBuilder builder(document);
    parser.HandleNextDocument(builder);
    YamlDocument second;
    TreeBuilder second_builder(second);
    if (parser.HandleNextDocument(second_builder)) {
      give_up(0, 0, "a second YAML document ('---') is not allowed; use one file for each");
    }
  } catch (const TooDeep& deep) {
    give_up(deep.line, deep.column,
            fmt::format("nested more than {} deep, which no configuration is", kDeepest));
  } catch (const YAML::Exception& error) {
    const bool has_mark = !error.mark.is_null();
    give_up(has_mark ? error.mark.line + 1 : 0, has_mark ? error.mark.column + 1 : 0,
            syntax_problem(error, text));
  }
  return document;
}

}  // namespace weft
