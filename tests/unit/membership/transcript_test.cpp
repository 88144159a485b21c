// Each file of tests/transcripts/membership is named after the rule that it
// shows. BANYAN_REWRITE=1 writes the present output into the files.
#include "net/membership/messages.hpp"
#include "tests/unit/membership/mesh.hpp"
#include "tests/unit/raft/datadriven.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <sstream>

namespace banyan::net::testing {
namespace {

/// Commands (nodes are numbers, times are milliseconds):
///   found N                 N nodes, all of them linked and alive
///   kill I | freeze I | thaw I | leave I | start I [disk=N]
///   sever A B | heal A B
///   copy I                  starts another machine with I's data directory
///   says A of B down|up     a report by A, given to everybody
///   run MS                  what the nodes did meanwhile, by whole ms
///   view                    what each running node thinks of each other
class script {
public:
  std::string run(const raft_test::directive& d) {
    const auto w = d.words();
    const auto number = [&](std::size_t i) {
      return std::size_t(std::stoul(w.at(i)));
    };
    if (d.name == "found") {
      m_.found(number(0));
      begin();
    } else if (d.name == "kill") {
      m_.kill(number(0));
    } else if (d.name == "freeze") {
      m_.freeze(number(0));
    } else if (d.name == "thaw") {
      m_.thaw(number(0));
    } else if (d.name == "leave") {
      m_.call(number(0), [&](auto& c, auto& out) { c.leave(m_.now, out); });
    } else if (d.name == "start") {
      if (const auto disk = d.value("disk", ""); !disk.empty()) {
        m_[number(0)].disk = incarnation{std::stoull(disk)};
        m_[number(0)].members_on_disk.clear();
      }
      m_.start(number(0), 0);
    } else if (d.name == "sever" || d.name == "heal") {
      m_.sever(number(0), number(1), d.name == "sever");
    } else if (d.name == "copy") {
      m_.start(m_.clone_of(number(0), {"10.0.9.9", 7600}), 0);
    } else if (d.name == "says") {
      say(number(0), number(2), w.at(3) == "down");
    } else if (d.name == "run") {
      m_.run_for(std::chrono::milliseconds{number(0)});
      return told();
    } else if (d.name == "view") {
      return view();
    } else {
      return "unknown command " + d.name + "\n";
    }
    return "";
  }

private:
  void begin() {
    begun_ = m_.now;
    told();
  }

  void say(std::size_t a, std::size_t b, bool down) {
    const auto r = m_.says(a, b, 1000 + ++said_, down);
    for (std::size_t to = 0; to < m_.size(); ++to)
      if (to != a && m_[to].up())
        m_.inject(a, to, channel::membership, encode(news_message{{}, {r}}));
  }

  std::string name(const node_id& n, std::size_t from) const {
    return std::to_string(m_.index_of(n, from));
  }

  std::string text(const membership_effect& e, std::size_t i) const {
    if (const auto* g = std::get_if<peer_gone>(&e))
      return "misses " + name(g->node, i) + ": " + to_string(g->evidence);
    if (const auto* s = std::get_if<peer_silent>(&e))
      return "misses " + name(s->node, i) + ": silence";
    if (const auto* b = std::get_if<peer_back>(&e))
      return "hears " + name(b->node, i);
    if (const auto* c = std::get_if<member_changed>(&e)) {
      if (c->from && *c->from == c->to)
        return {};
      return name(c->node, i) + " is " + to_string(c->to)
             + (c->from ? "" : ", a new member");
    }
    if (const auto* r = std::get_if<incarnation_ready>(&e))
      return "incarnation " + std::to_string(r->value.value());
    if (const auto* r = std::get_if<rolled_back>(&e))
      return "rolled back: the mesh knows " + std::to_string(r->seen.value());
    if (const auto* c = std::get_if<cloned>(&e))
      return "cloned at " + to_string(c->theirs);
    if (const auto* c = std::get_if<cut_link>(&e))
      return "cuts the link to " + name(c->node, i);
    if (const auto* b = std::get_if<misbehaved>(&e))
      return "blames " + name(b->node, i) + ": " + b->what;
    return {};
  }

  std::string told() {
    std::vector<std::tuple<time_point, std::size_t, std::size_t, std::string>>
        lines;
    for (std::size_t i = 0; i < m_.size(); ++i) {
      auto& log = m_[i].log;
      for (std::size_t n = 0; n < log.size(); ++n)
        if (auto t = text(log[n].what, i); !t.empty())
          lines.emplace_back(log[n].at, i, n, std::move(t));
      log.clear();
    }
    std::sort(lines.begin(), lines.end());
    std::ostringstream out;
    for (const auto& [at, i, n, t] : lines)
      out << "+" << (at - begun_) / 1ms << " " << i << ": " << t << "\n";
    return out.str();
  }

  std::string view() {
    std::ostringstream out;
    for (std::size_t i = 0; i < m_.size(); ++i) {
      if (!m_[i].up())
        continue;
      out << i << ":";
      for (std::size_t j = 0; j < m_.size(); ++j)
        if (i != j && m_.id(i) != m_.id(j)) {
          const auto v = m_.core(i).find(m_.id(j));
          out << " " << j << " " << (v ? to_string(v->state) : "unknown");
          if (v && v->accusers > 0)
            out << "(" << v->accusers << ")";
        }
      out << "\n";
    }
    return out.str();
  }

  mesh m_{1};
  time_point begun_{};
  std::uint64_t said_ = 0;
};

TEST(membership_transcripts, all) {
  const auto files =
      raft_test::text_files(BANYAN_SOURCE_DIR "/tests/transcripts/membership");
  std::size_t commands = 0;
  for (const auto& file : files) {
    set_assert_context(file.c_str());
    script s;
    commands +=
        raft_test::run_file(file, [&](const auto& d) { return s.run(d); });
  }
  std::cout << files.size() << " files, " << commands << " commands\n";
  EXPECT_GT(files.size(), 0U);
}

} // namespace
} // namespace banyan::net::testing
