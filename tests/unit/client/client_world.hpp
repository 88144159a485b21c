#pragma once
#include "actors/client/client_core.hpp"

#include <gtest/gtest.h>

#include <array>
#include <deque>

namespace banyan::test {

inline node_id peer(std::uint8_t n) {
  std::array<std::uint8_t, 32> a{};
  a[0] = n;
  return node_id{a};
}

/// A core and what it wants, with time in hand.
struct client_world {
  client_core core{100};
  time_point now{std::chrono::seconds{1}};
  std::deque<client_send> sent;
  std::vector<client_answer> answers;
  client_core::effects out;

  void take() {
    for (auto& e : out)
      if (auto* s = std::get_if<client_send>(&e))
        sent.push_back(std::move(*s));
      else
        answers.push_back(std::move(std::get<client_answer>(e)));
    out.clear();
  }
  void up(std::uint8_t n) {
    core.on_peer_up(peer(n), now, out);
    take();
  }
  void down(std::uint8_t n) {
    core.on_peer_down(peer(n), now, out);
    take();
  }
  void call(client_request r) {
    core.call(std::move(r), now, out);
    take();
  }
  void command(std::uint64_t token, duration deadline = 5s) {
    client_request r;
    r.token = token;
    r.app = "counter";
    r.key = "hits";
    r.command = "add";
    r.deadline = deadline;
    call(std::move(r));
  }
  /// Of a stateless app: there is no actor.
  void stateless(std::uint64_t token, duration deadline) {
    client_request r;
    r.token = token;
    r.app = "hello";
    r.command = "greet";
    r.query = true;
    r.deadline = deadline;
    call(std::move(r));
  }
  void stale_query(std::uint64_t token) { query(token, 1s); }
  void query(std::uint64_t token, std::optional<duration> staleness = {}) {
    client_request r;
    r.max_staleness = staleness;
    r.token = token;
    r.app = "counter";
    r.key = "hits";
    r.command = "get";
    r.query = true;
    call(std::move(r));
  }
  /// A query that has `deadline`.
  void ask(std::uint64_t token, const std::string& app, duration deadline,
           const std::string& key = "hits") {
    client_request r;
    r.token = token;
    r.app = app;
    r.key = key;
    r.command = "get";
    r.query = true;
    r.deadline = deadline;
    call(std::move(r));
  }
  client_send next() {
    if (sent.empty()) {
      ADD_FAILURE() << "nothing was sent";
      return {};
    }
    auto s = std::move(sent.front());
    sent.pop_front();
    return s;
  }
  void answer(const client_send& s, reply_status status,
              std::uint64_t session = 0, std::uint32_t shards = 0) {
    client_reply_frame f;
    f.call = s.frame.call;
    f.reply.status = status;
    f.reply.session = session;
    f.shards = shards;
    core.on_reply(s.to, std::move(f), now, out);
    take();
  }
  void answer_naming(const client_send& s, const node_id& leader) {
    client_reply_frame f;
    f.call = s.frame.call;
    f.reply.leader = replica_ref{leader, {}};
    f.shards = 1;
    core.on_reply(s.to, std::move(f), now, out);
    take();
  }
  void overloaded(const client_send& s, duration retry_after) {
    client_reply_frame f;
    f.call = s.frame.call;
    f.reply.status = reply_status::overloaded;
    f.reply.retry_after = retry_after;
    core.on_reply(s.to, std::move(f), now, out);
    take();
  }
  /// Runs every timer up to `d` from now.
  void pass(duration d) {
    const auto end = now + d;
    while (core.deadline() <= end) {
      now = std::max(now, core.deadline());
      core.on_tick(now, out);
      take();
    }
    now = end;
  }
  /// Through look-up and session, so that the next command goes straight out.
  void open(std::uint64_t session = 7) {
    const auto lookup = next();
    EXPECT_EQ(lookup.frame.kind, client_call_kind::lookup);
    answer(lookup, reply_status::ok, 0, 1);
    const auto open = next();
    EXPECT_EQ(open.frame.kind, client_call_kind::open_session);
    answer(open, reply_status::ok, session);
  }
};

inline session_request numbers(const client_send& s) {
  return std::get<session_request>(s.frame.identity);
}

} // namespace banyan::test
