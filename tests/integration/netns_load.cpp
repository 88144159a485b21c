#include "tests/integration/netns_load.hpp"

#include <algorithm>

namespace banyan::test {
namespace {

constexpr std::size_t complaints_max = 20;

std::int64_t ticks() {
  return now().time_since_epoch().count();
}

std::string kv_path(const std::string& key) {
  return "/v1/apps/kv/actors/" + key + "/";
}
std::string counter_path(const std::string& key) {
  return "/v1/apps/counter/actors/" + key + "/";
}

std::optional<std::string> text_of(const value& v) {
  if (v.is_nil())
    return std::nullopt;
  return v.text;
}

} // namespace

struct history_load::client {
  std::size_t number = 0;
  std::size_t peer = 0;
  std::uint64_t calls = 0;
  std::mt19937_64 random;
  std::map<std::string, std::optional<std::string>> seen; ///< of kv, by key
  std::vector<std::unique_ptr<io::http_client>> connections;
  std::thread thread;

  std::size_t below(std::size_t n) { return random() % n; }
};

/// Of one call, from its first try to its answer.
struct history_load::outcome {
  enum class kind : std::uint8_t { answered, none, pending, wrong };
  kind what = kind::none;
  linear::tick invoked = 0;
  linear::tick at = linear::unknown;
  value result;
};

std::string history_report::text() const {
  std::string out =
      "answered " + std::to_string(answered) + ", given up as pending "
      + std::to_string(pending) + ", retried " + std::to_string(retries)
      + ", without an answer " + std::to_string(unanswered) + ", longest wait "
      + std::to_string(
          std::chrono::duration_cast<std::chrono::milliseconds>(longest)
              .count())
      + " ms\n";
  for (const auto& w : wrong)
    out += "wrong: " + w + "\n";
  return out;
}

history_load::history_load(process_mesh& mesh, history_options options)
    : mesh_{mesh}, options_{options} {
  for (std::size_t i = 0; i < options_.clients; ++i) {
    auto c = std::make_unique<client>();
    c->number = i;
    c->peer = i % mesh.size();
    c->random.seed(options_.seed * 1000 + i);
    c->connections.resize(mesh.size());
    clients_.push_back(std::move(c));
  }
}

history_load::~history_load() {
  give_up_at_ = 0;
  stop();
}

void history_load::start() {
  for (auto& c : clients_)
    c->thread = std::thread{[this, c = c.get()] { run(*c); }};
}

void history_load::stop() {
  if (!stopping_.exchange(true) && give_up_at_ != 0)
    give_up_at_ = ticks() + options_.give_up.count();
  for (auto& c : clients_)
    if (c->thread.joinable())
      c->thread.join();
}

void history_load::complain(const std::string& what) {
  const std::lock_guard lock{mutex_};
  if (wrong_.size() < complaints_max)
    wrong_.push_back(what);
}

void history_load::run(client& c) {
  while (!stopping_) {
    if (c.below(10) == 0) // callers don't stay with one peer
      c.peer = c.below(mesh_.size());
    if (c.below(3) == 0)
      step_counter(c);
    else
      step_kv(c);
    std::this_thread::sleep_for(options_.pause); // the load's own pace
  }
}

history_load::outcome history_load::attempt(client& c, const io::http_call& q) {
  outcome r;
  r.invoked = ticks();
  if (!mesh_.running(c.peer))
    return r;
  auto& connection = c.connections[c.peer];
  if (connection == nullptr)
    connection = std::make_unique<io::http_client>(mesh_.http(c.peer));
  const auto reply = connection->call(q);
  if (!reply.ok()) {
    connection.reset();
    return r;
  }
  switch (reply->status) {
  case 200:
    r.what = outcome::kind::answered;
    r.at = ticks();
    r.result = parse_value(reply->body)["result"];
    break;
  case 429:
  case 503:
  case 504:
  case 507:
    break; // nothing that tells what an earlier try did
  default:
    r.what = outcome::kind::wrong;
    complain(q.target + " " + q.body + " got " + std::to_string(reply->status)
             + " " + reply->body);
  }
  return r;
}

void history_load::next_peer(client& c, std::size_t failed) {
  ++retries_;
  c.peer = (c.peer + 1) % mesh_.size();
  if (failed % mesh_.size() == 0)
    std::this_thread::sleep_for(5ms); // nobody answered: not in a spin
}

history_load::outcome history_load::command(client& c, const std::string& path,
                                            const std::string& body) {
  io::http_call q;
  q.method = "POST";
  q.target = path;
  q.body = body;
  q.headers = {{"idempotency-key", "h-" + std::to_string(c.number) + "-"
                                       + std::to_string(++c.calls)},
               {"accept", "application/msgpack"},
               {"banyan-deadline-ms", "1500"}};
  q.connect_timeout = 500ms;
  q.timeout = 2s;
  const bool patient = c.below(8) != 0;
  const auto begun = ticks();
  outcome r;
  for (std::size_t failed = 0; r.what == outcome::kind::none; ++failed) {
    if (failed > 0) {
      if (ticks() > give_up_at_ || !patient) {
        r.what = outcome::kind::pending;
        ++(patient ? unanswered_ : pending_);
        break;
      }
      next_peer(c, failed);
    }
    r = attempt(c, q);
  }
  r.invoked = begun;
  return r;
}

history_load::outcome history_load::query(client& c, const std::string& path) {
  io::http_call q;
  q.target = path;
  q.headers = {{"accept", "application/msgpack"},
               {"banyan-deadline-ms", "1500"}};
  q.connect_timeout = 500ms;
  q.timeout = 2s;
  for (std::size_t failed = 0;; ++failed) {
    if (failed > 0)
      next_peer(c, failed);
    auto r = attempt(c, q);
    if (r.what != outcome::kind::none)
      return r;
    if (ticks() > give_up_at_) {
      ++unanswered_;
      return r;
    }
    if (stopping_)
      continue;
    if (c.below(4) == 0)
      return r; // what has no answer says nothing
  }
}

template <class Operation>
void history_load::keep(history<Operation>& to, Operation o, const outcome& r) {
  if (r.what == outcome::kind::answered)
    ++answered_;
  const std::lock_guard lock{mutex_};
  if (r.what == outcome::kind::answered)
    longest_ = std::max(longest_, r.at - r.invoked);
  to.push_back({std::move(o), r.invoked, r.at});
}

void history_load::step_kv(client& c) {
  using op = linear::kv_operation;
  op o;
  o.key = "k" + std::to_string(c.below(options_.keys));
  o.value = std::to_string(c.number) + "." + std::to_string(c.calls) + ";";
  outcome r;
  if (const auto dice = c.below(100); dice < 40) {
    o.what = op::kind::get;
    o.value.clear();
    r = query(c, kv_path(o.key) + "get");
    if (r.what != outcome::kind::answered)
      return; // a read without an answer is no part of a history
    o.read = text_of(r.result);
    c.seen[o.key] = o.read;
  } else if (dice < 60) {
    o.what = op::kind::put;
    r = command(c, kv_path(o.key) + "put", R"({"value":")" + o.value + "\"}");
    c.seen[o.key] = o.value;
  } else if (dice < 85) {
    o.what = op::kind::append;
    r = command(c, kv_path(o.key) + "append",
                R"({"value":")" + o.value + "\"}");
  } else {
    o.what = op::kind::cas;
    o.expected = c.seen[o.key];
    r = command(c, kv_path(o.key) + "cas",
                R"({"expect":)"
                    + (o.expected ? "\"" + *o.expected + "\"" : "null")
                    + R"(,"value":")" + o.value + "\"}");
    o.swapped = r.result.integer != 0;
  }
  if (r.what != outcome::kind::wrong)
    keep(kv_, std::move(o), r);
}

void history_load::step_counter(client& c) {
  using op = linear::counter_operation;
  op o;
  o.key = "c" + std::to_string(c.below(options_.keys));
  outcome r;
  if (c.below(3) == 0) {
    r = query(c, counter_path(o.key) + "get");
    if (r.what != outcome::kind::answered)
      return;
  } else {
    o.what = op::kind::add;
    o.amount = static_cast<std::int64_t>(1 + c.below(9));
    r = command(c, counter_path(o.key) + "add",
                "{\"n\":" + std::to_string(o.amount) + "}");
  }
  o.value = r.result.integer;
  if (r.what != outcome::kind::wrong)
    keep(counter_, std::move(o), r);
}

/// Each key through every peer; then every peer's own replicas, or those that
/// it asks, must have come as far.
void history_load::last_reads() {
  auto& c = *clients_.front();
  stopping_ = true;
  give_up_at_ = ticks() + options_.give_up.count();
  for (std::size_t k = 0; k < options_.keys; ++k) {
    linear::kv_operation o;
    o.key = "k" + std::to_string(k);
    linear::counter_operation n;
    n.key = "c" + std::to_string(k);
    for (std::size_t i = 0; i < mesh_.size(); ++i) {
      c.peer = i;
      auto r = query(c, kv_path(o.key) + "get");
      o.read = text_of(r.result);
      if (r.what == outcome::kind::answered)
        keep(kv_, o, r);
      c.peer = i;
      r = query(c, counter_path(n.key) + "get");
      n.value = r.result.integer;
      if (r.what == outcome::kind::answered)
        keep(counter_, n, r);
    }
    for (std::size_t i = 0; i < mesh_.size(); ++i)
      if (!wait_until(
              [&] {
                return text_of(stale(i, kv_path(o.key))) == o.read
                       && stale(i, counter_path(n.key)).integer == n.value;
              },
              30s))
        complain("30 s after the last command peer " + std::to_string(i)
                 + " still tells the past of " + o.key + " or " + n.key);
  }
}

value history_load::stale(std::size_t peer, const std::string& path) const {
  return mesh_.get(peer, path + "get?consistency=stale")["result"];
}

history_report history_load::check() {
  last_reads();
  const auto judge = [&](const char* app, const linear::finding& f) {
    if (!f.ok())
      complain(std::string{app} + "/" + f.key + " is "
               + linear::to_string(f.what) + ": " + f.why);
  };
  judge("kv", linear::check<linear::kv_model>(kv_));
  judge("counter", linear::check<linear::counter_model>(counter_));
  history_report r;
  r.answered = answered_;
  r.pending = pending_;
  r.retries = retries_;
  r.unanswered = unanswered_;
  r.longest = duration{longest_};
  r.wrong = wrong_;
  return r;
}

} // namespace banyan::test
