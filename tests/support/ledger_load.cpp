#include "tests/support/ledger_load.hpp"

#include <algorithm>
#include <cstdlib>
#include <random>

namespace banyan::test {
namespace {

constexpr std::int64_t unit = 1'000'000;
constexpr std::int64_t opening = 1'000'000'000'000;
constexpr std::size_t complaints_max = 20;

std::int64_t ticks(time_point t) {
  return t.time_since_epoch().count();
}

std::string random_word() {
  std::random_device seed;
  return std::to_string(seed());
}

std::string milliseconds(duration d) {
  return std::to_string(
             std::chrono::duration_cast<std::chrono::milliseconds>(d).count())
         + " ms";
}

} // namespace

struct ledger_load::client {
  std::size_t number = 0;
  std::size_t peer = 0; ///< where the next call goes
  std::string account;
  std::int64_t balance = 0; ///< what the account must hold
  std::uint64_t transfers = 0;
  std::map<std::string, std::int64_t> paid;                  ///< by recipient
  std::vector<std::unique_ptr<io::http_client>> connections; ///< by peer
  std::vector<duration> waits;
  std::mt19937_64 random;
  std::thread thread;
};

std::string audit_report::text() const {
  std::string out = "acknowledged        " + std::to_string(acknowledged)
                    + "\nrejected            " + std::to_string(rejected)
                    + "\nretried calls       " + std::to_string(retries)
                    + "\nlongest wait        " + milliseconds(longest)
                    + "\nlost                " + std::to_string(lost)
                    + "\napplied twice       " + std::to_string(twice)
                    + "\nwithout an answer   " + std::to_string(unanswered)
                    + "\ndeposited           " + std::to_string(deposits)
                    + "\nbalances            " + std::to_string(balances)
                    + "\nin flight           " + std::to_string(in_flight())
                    + "\n";
  for (const auto& w : wrong)
    out += "wrong: " + w + "\n";
  return out;
}

ledger_load::ledger_load(process_mesh& mesh, load_options options)
    : mesh_{mesh}, options_{std::move(options)}, run_{random_word()} {
  for (std::size_t i = 0; i < options_.clients; ++i) {
    auto c = std::make_unique<client>();
    c->number = i;
    c->peer = i % mesh.size();
    c->account = "client-" + run_ + "-" + std::to_string(i);
    c->random.seed(i + 1);
    c->connections.resize(mesh.size());
    clients_.push_back(std::move(c));
  }
}

ledger_load::~ledger_load() {
  give_up_at_ = 0;
  stop();
}

void ledger_load::start() {
  for (auto& c : clients_)
    c->thread = std::thread{[this, c = c.get()] { run(*c); }};
}

void ledger_load::stop() {
  if (!stopping_.exchange(true) && give_up_at_ != 0)
    give_up_at_ = ticks(now() + options_.give_up);
  for (auto& c : clients_)
    if (c->thread.joinable())
      c->thread.join();
}

void ledger_load::complain(const std::string& what) {
  const std::lock_guard lock{mutex_};
  if (wrong_.size() < complaints_max)
    wrong_.push_back(what);
}

ledger_load::outcome ledger_load::call(client& c, const std::string& account,
                                       const char* command,
                                       const std::string& argument,
                                       const std::string& key,
                                       std::int64_t& result) {
  const auto begun = now();
  io::http_call q;
  q.method = "POST";
  q.target = "/v1/apps/" + options_.app + "/actors/" + account + "/" + command;
  q.body = argument;
  q.headers = {
      {"idempotency-key", key},
      {"accept", "application/msgpack"},
      {"banyan-deadline-ms",
       std::to_string(
           std::chrono::milliseconds{options_.deadline / 1ms}.count())}};
  q.connect_timeout = std::min<duration>(1s, options_.patience);
  q.timeout = options_.patience;
  for (std::size_t failed = 0;; ++failed) {
    if (ticks(now()) > give_up_at_)
      return outcome::unanswered;
    if (failed > 0) {
      ++retries_;
      c.peer = (c.peer + 1) % mesh_.size();
      if (failed % mesh_.size() == 0)
        std::this_thread::sleep_for(5ms); // nobody answered: not in a spin
    }
    if (!mesh_.running(c.peer))
      continue;
    auto& connection = c.connections[c.peer];
    if (connection == nullptr)
      connection = std::make_unique<io::http_client>(mesh_.http(c.peer));
    const auto r = connection->call(q);
    if (!r.ok()) {
      connection.reset();
      continue;
    }
    if (r->status == 429 || r->status == 503 || r->status == 504
        || r->status == 507)
      continue;
    const auto waited = now() - begun;
    if (options_.keep_waits)
      c.waits.push_back(waited);
    {
      const std::lock_guard lock{mutex_};
      longest_ = std::max(longest_, waited.count());
    }
    if (r->status == 200) {
      const auto answer = parse_value(r->body);
      result = answer["result"].integer;
      terms.saw(static_cast<std::uint64_t>(answer["term"].integer));
      return outcome::done;
    }
    if (r->status == 422)
      return outcome::rejected;
    complain(std::string{command} + " of " + account + " (key " + key
             + ", retried " + std::to_string(failed) + " times) got "
             + std::to_string(r->status) + " " + r->body);
    return outcome::wrong;
  }
}

std::vector<duration> ledger_load::waits() const {
  std::vector<duration> all;
  for (const auto& c : clients_)
    all.insert(all.end(), c->waits.begin(), c->waits.end());
  return all;
}

void ledger_load::run(client& c) {
  std::int64_t balance = 0;
  switch (call(c, c.account, "deposit",
               "{\"cents\":" + std::to_string(opening) + "}",
               run_ + "-open-" + std::to_string(c.number), balance)) {
  case outcome::done:
    c.balance = opening;
    break;
  case outcome::unanswered:
    ++unanswered_;
    return;
  default:
    complain("the deposit of client " + std::to_string(c.number)
             + " was refused");
    return;
  }
  while (!stopping_) {
    transfer(c);
    if (options_.pause > duration::zero())
      std::this_thread::sleep_for(options_.pause); // the load's own pace
  }
}

void ledger_load::transfer(client& c) {
  const auto to = recipient(c.random() % options_.recipients);
  const bool too_much = ++c.transfers % 50 == 0;
  const auto cents =
      too_much ? 2 * opening : unit + static_cast<std::int64_t>(++numbers_);
  std::int64_t left = 0;
  const auto said = call(
      c, c.account, "transfer",
      "{\"to\":\"" + to + "\",\"cents\":" + std::to_string(cents) + "}",
      run_ + "-" + std::to_string(c.number) + "-" + std::to_string(c.transfers),
      left);
  if (said == outcome::unanswered) {
    ++unanswered_;
    return;
  }
  if (too_much != (said == outcome::rejected) || said == outcome::wrong) {
    complain("transfer of " + std::to_string(cents) + " from " + c.account
             + (said == outcome::done ? " was done" : " was refused"));
    if (said != outcome::done)
      return;
  }
  if (too_much) {
    ++rejected_;
    return;
  }
  ++acknowledged_;
  c.paid[to] += cents;
  c.balance -= cents;
  if (left == c.balance)
    return;
  // More than there must be: withdrawals were lost; less: applied twice.
  const auto off = left - c.balance;
  const auto count = std::max<std::int64_t>(1, std::abs(off) / unit);
  (off > 0 ? lost_ : twice_) += static_cast<std::uint64_t>(count);
  complain(c.account + " shows " + std::to_string(left) + ", must be "
           + std::to_string(c.balance));
  c.balance = left; // say it once
}

std::optional<std::int64_t> ledger_load::balance(const std::string& account) {
  for (std::size_t i = 0; i < mesh_.size(); ++i) {
    if (!mesh_.serving(i))
      continue;
    const auto v = mesh_.get(
        i, "/v1/apps/" + options_.app + "/actors/" + account + "/balance", 6s);
    if (v["result"].what == value::kind::integer)
      return v["result"].integer;
  }
  return std::nullopt;
}

audit_report ledger_load::audit(duration limit) {
  audit_report r;
  std::map<std::string, std::int64_t> expected;
  for (std::size_t i = 0; i < options_.recipients; ++i)
    expected[recipient(i)] = 0;
  for (const auto& c : clients_) {
    expected[c->account] = c->balance;
    r.deposits += c->balance;
    for (const auto& [to, cents] : c->paid) {
      expected[to] += cents;
      r.deposits += cents;
    }
  }
  std::map<std::string, std::int64_t> found;
  wait_until(
      [&] {
        r.balances = 0;
        bool same = true;
        for (const auto& [account, cents] : expected) {
          auto& at = found[account];
          if (at != cents) // what is right once stays: nobody pays any more
            at = balance(account).value_or(-1);
          same = same && at == cents;
          r.balances += at;
        }
        return same;
      },
      limit, 50ms);
  r.acknowledged = acknowledged_;
  r.rejected = rejected_;
  r.retries = retries_;
  r.unanswered = unanswered_;
  r.lost = lost_;
  r.twice = twice_;
  r.wrong = wrong_;
  r.longest = duration{longest_};
  for (const auto& [account, cents] : expected) {
    const auto off = found[account] - cents;
    if (off == 0)
      continue;
    if (found[account] < 0) {
      r.wrong.push_back("no peer tells the balance of " + account);
      continue;
    }
    const auto count =
        static_cast<std::uint64_t>((std::abs(off) + unit / 2) / unit);
    (off < 0 ? r.lost : r.twice) += std::max<std::uint64_t>(1, count);
    r.wrong.push_back(account + " holds " + std::to_string(found[account])
                      + ", must be " + std::to_string(cents));
  }
  return r;
}

} // namespace banyan::test
