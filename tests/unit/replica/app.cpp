#include "world.hpp"

namespace banyan::test {
namespace {

std::vector<std::string> split(const std::string& s) {
  std::vector<std::string> out;
  std::string word;
  for (char c : s + " ")
    if (c != ' ')
      word += c;
    else if (!word.empty())
      out.push_back(std::exchange(word, {}));
  return out;
}

} // namespace

turn_result run_app(const turn_order& o) {
  turn_result r;
  r.key = o.key;
  r.version = o.version;
  r.outcome = turn_outcome::ok;
  auto state = to_text(o.state.view());
  const auto argument = to_text(o.argument);
  const auto words = split(argument);
  const auto add = [&](const std::string& word) {
    state += word + ",";
    r.state = to_bytes(state);
  };
  if (o.command == "append") {
    add(argument);
    r.answer = to_bytes(std::to_string(split(state).size()));
  } else if (o.command == "send") {
    add("s:" + words.at(1));
    turn_send s;
    s.key = words.at(0);
    s.command = words.size() > 2 ? words.at(2) : "append";
    s.argument = to_bytes(words.at(1));
    s.on_reply = "done";
    if (const auto slash = s.key.find('/'); slash != std::string::npos) {
      s.app = s.key.substr(0, slash);
      s.key = s.key.substr(slash + 1);
    }
    r.sends.push_back(s);
  } else if (o.command == "done") {
    if (o.origin != turn_origin::reply)
      r.outcome = turn_outcome::unknown_command;
    else
      add("r");
  } else if (o.command == "after") {
    turn_timer t;
    t.name = "t";
    t.after = std::chrono::milliseconds{std::stoul(words.at(0))};
    t.command = "append";
    t.argument = to_bytes(words.at(1));
    r.timers.push_back(t);
  } else if (o.command == "cancel") {
    r.cancelled.push_back("t");
  } else if (o.command == "rows") {
    r.rows.push_back(
        {to_bytes(words.at(0)), shared_bytes{to_bytes(words.at(1))}});
  } else if (o.command == "row") {
    if (o.rows.empty()) {
      r.outcome = turn_outcome::needs_rows;
      r.rows_needed.push_back(o.argument);
    } else if (o.rows[0].value) {
      r.answer = o.rows[0].value->view().copy();
    }
  } else if (o.command == "range") {
    if (o.ranges.empty()) {
      r.outcome = turn_outcome::needs_rows;
      turn_range range;
      range.limit = 100;
      r.ranges_needed.push_back(range);
    } else {
      std::string all;
      for (const auto& row : o.ranges[0].rows)
        all += to_text(row.key) + "=" + to_text(row.value->view()) + ",";
      r.answer = to_bytes(all);
    }
  } else if (o.command == "reject") {
    r.outcome = turn_outcome::rejected;
    r.code = "no";
  } else if (o.command == "throw") {
    r.outcome = turn_outcome::failed;
    r.message = "thrown";
  } else if (o.command == "remove") {
    r.removed = true;
  } else if (o.command == "get") {
    r.answer = o.state.view().copy();
  } else if (o.command != "noop" && o.command != "die" && o.command != "hang") {
    r.outcome = turn_outcome::unknown_command;
  }
  return r;
}

} // namespace banyan::test
