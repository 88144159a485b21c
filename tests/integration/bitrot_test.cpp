// Bits that flip in the stores of a stopped peer, over and over: what DESIGN,
// section 1, promises of a corrupted minority. A program, not a GoogleTest, as
// it also runs for long:
//
//   bitrot_test [--rounds N] [--flips N] [--seed N]
//
// Each round stops one of three peers, judges each flip alone on a copy of its
// store (found, or proved harmless: the same content), flips them all, starts
// the peer as a supervisor would, and reads every key through it, stale and
// linearizable, while it mends itself and after. Then it reads its disk again
// (`verify`), and the next time that it is stopped its store must be whole.
#include "base/random.hpp"
#include "tests/integration/bitrot_judge.hpp"
#include "tests/support/process_mesh.hpp"

#include <array>
#include <iostream>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace banyan::test {
namespace {

struct options {
  std::size_t rounds = 4;
  std::size_t flips = 12;
  std::uint64_t seed = 1;
};

/// What is flipped in a round.
enum class kind : std::uint8_t { both, state, log, rows };
const char* name_of(kind k) {
  constexpr std::array<const char*, 4> names{"log and state", "state", "log",
                                             "rows"};
  return names[static_cast<std::size_t>(k)];
}

constexpr std::size_t keys = 300;
constexpr std::size_t restarts_max = 2; ///< of one peer in one round

/// Flips by what was said of each.
struct flips {
  std::size_t all = 0, found = 0, rows = 0, harmless = 0, missed = 0;
  [[nodiscard]] std::size_t damage() const { return found + rows; }
  void add(verdict v) {
    ++all;
    found += v == verdict::found;
    rows += v == verdict::row;
    harmless += v == verdict::harmless;
    missed += v == verdict::missed;
  }
  void add(const flips& f) {
    all += f.all;
    found += f.found;
    rows += f.rows;
    harmless += f.harmless;
    missed += f.missed;
  }
};
/// By the folder of the file: `log`, `state`.
using flips_of = std::map<std::string, flips>;

/// What restarted peers say of themselves.
struct mended {
  double logs = 0;    ///< replicas given up with their log, and replaced
  bool aside = false; ///< The state as a whole was bad: set aside...
  double states_lost = 0, states = 0; ///< ...and copied from others, or made
                                      ///< anew from the log if that has it all
  double rows_damaged = 0, rows = 0;
};

struct tally {
  flips_of by_file;
  std::size_t repaired = 0;
  std::size_t reads = 0, wrong = 0, restarts = 0, aside = 0;
  mended peers;
};

class bitrot {
public:
  explicit bitrot(options o) : options_{o}, random_{o.seed} {}

  bool run() {
    mesh_.start_all();
    mesh_.wait_members(3);
    mesh_.deploy("kv", "name = \"kv\"\nmodule = \"kv\"\nshards = 3\n"
                       "replicas = 3\nreplace_after = \"2s\"\n");
    mesh_.wait_healthy("kv", 3);
    for (std::size_t k = 0; k < keys; ++k)
      put(k, 0);
    for (std::size_t n = 0; n < options_.rounds; ++n)
      round(n);
    for (std::size_t i = 0; i < mesh_.size(); ++i) {
      mesh_.kill(i);
      check_whole(i);
    }
    report();
    return failures_ == 0;
  }

private:
  void fail(const std::string& what) {
    ++failures_;
    std::cout << "  WRONG: " << what << std::endl;
  }

  static std::string path(std::size_t key) {
    return "/v1/apps/kv/actors/key-" + std::to_string(key) + "/";
  }
  void put(std::size_t key, std::size_t by) {
    const auto size = key % 50 == 0 ? 6000 : 20 + random_.below(400);
    std::string value(size, static_cast<char>('a' + random_.below(26)));
    value += std::to_string(++written_);
    const auto r = mesh_.command(by, path(key) + "put",
                                 R"({"value":")" + value + "\"}", 30s);
    if (r.status != 200)
      throw std::runtime_error{"a put was not taken: " + r.body};
    model_[key] = std::move(value);
  }

  double metric(std::size_t i, const std::string& name) const {
    io::http_call c;
    c.target = "/metrics";
    const auto r = mesh_.call(mesh_.control(i), std::move(c));
    const auto at = r.body.find("\nbanyan_" + name + " ");
    return at == std::string::npos
               ? -1
               : std::stod(r.body.substr(at + name.size() + 9));
  }
  /// Two state commits from now: all that was acknowledged is in LMDB.
  void settle(std::size_t i) {
    const auto before = metric(i, "state_commits_total");
    put(random_.below(keys), (i + 1) % mesh_.size());
    if (!wait_until([&] { return metric(i, "state_commits_total") > before; },
                    20s))
      throw std::runtime_error{"no state commit"};
  }

  void round(std::size_t n) {
    const auto victim = n % mesh_.size();
    const auto other = (victim + 1) % mesh_.size();
    const auto what = static_cast<kind>(n % 4);
    for (int k = 0; k < 20; ++k)
      put(random_.below(keys), other);
    settle(victim);
    if (n % 2 == 0)
      mesh_.kill(victim);
    else
      mesh_.terminate(victim);
    check_whole(victim);
    auto found = rot(victim, what);
    for (int k = 0; k < 5; ++k) // the others go on without it
      put(random_.below(keys), other);
    const auto restarts = restart(victim);
    read_all(victim, false);
    mesh_.wait_healthy("kv", 3, 90s);
    read_all(victim, true);
    verify(victim);
    const auto said = check_mended(victim, found);
    unproved_[victim] += found["log"].damage() + found["state"].damage();
    std::cout << "round " << n << ": peer " << victim << ", " << name_of(what)
              << ": " << found["log"].damage() << " of " << found["log"].all
              << " flips in the log are damage, " << found["state"].damage()
              << " of " << found["state"].all << " in the state; " << said.logs
              << " logs given up, "
              << (said.aside ? "the state set aside, " : "") << said.rows
              << " rows mended, " << restarts << " restarts" << std::endl;
  }

  /// The peer knew of what was found here, and says that all is mended.
  mended check_mended(std::size_t i, flips_of& found) {
    // States and rows may also go with a replica that is made anew.
    const bool all = wait_until(
        [&] {
          return metric(i, "states_unready") == 0
                 && metric(i, "rows_mended_total")
                        == metric(i, "rows_damaged_total");
        },
        60s, 50ms);
    const mended m{metric(i, "logs_given_up_total"),
                   mesh_.get(i, "/v1/status")["state"]["check"].text
                       == "set_aside",
                   metric(i, "states_lost_total"),
                   metric(i, "states_rebuilt_total"),
                   metric(i, "rows_damaged_total"),
                   metric(i, "rows_mended_total")};
    if (found["log"].damage() > 0 && m.logs < 1)
      fail("damage of the log, and no log was given up");
    if (found["state"].found > 0 && !m.aside)
      fail("damage of the state, and it was not set aside");
    // A group's own row takes the group's state along; a replica whose log went
    // begins anew, its state as well.
    if (found["state"].rows > 0 && !m.aside
        && m.rows + m.states_lost + m.logs < 1)
      fail("damage of rows, and none was mended");
    if (!all)
      fail("a state or a row is not mended: " + std::to_string(m.states_lost)
           + " states lost, " + std::to_string(m.states) + " rebuilt, "
           + std::to_string(m.rows_damaged) + " rows damaged, "
           + std::to_string(m.rows) + " mended");
    tally_.peers.logs += m.logs;
    tally_.aside += m.aside;
    tally_.peers.states += m.states;
    tally_.peers.rows += m.rows;
    return m;
  }

  /// Judges and makes the flips.
  flips_of rot(std::size_t victim, kind what) {
    const stopped_store store{mesh_.data(victim), mesh_.dir() / "judged"};
    flips_of out;
    for (std::size_t n = 0; n < options_.flips; ++n) {
      const auto r = random_.next();
      const bool log = what == kind::log || (what == kind::both && n % 2 == 0);
      const auto f = log || !store.has_state() ? store.log_bit(r)
                     : what == kind::rows      ? store.row_bit(r)
                                               : store.state_bit(r);
      const auto v = store.judge(f);
      out[f.file.substr(0, f.file.find('/'))].add(v);
      if (v == verdict::missed)
        fail("a flip that changes content is not found: " + f.file + " byte "
             + std::to_string(f.offset) + " mask " + std::to_string(f.mask));
      apply(mesh_.data(victim), f);
    }
    for (const auto& [file, n] : out)
      tally_.by_file[file].add(n);
    return out;
  }

  std::size_t restart(std::size_t victim) {
    std::size_t restarts = 0;
    for (;;) {
      try {
        mesh_.start(victim);
        if (!wait_until([&] { return mesh_.ended(victim); }, 500ms, 50ms))
          break;
      } catch (const std::runtime_error& e) {
        std::cout << "  peer " << victim << ": " << e.what() << std::endl;
      }
      if (++restarts > restarts_max) {
        fail("a crash loop of peer " + std::to_string(victim));
        throw std::runtime_error{mesh_.last_words()};
      }
    }
    tally_.restarts += restarts;
    return restarts;
  }

  /// Every key through one peer. Not answered is fine unless `all`; an answer
  /// must be right: a restarted peer's staleness begins after all writes.
  void read_all(std::size_t i, bool all) {
    io::http_client client{mesh_.http(i)};
    for (const auto& [key, value] : model_)
      for (const auto* how : {"get?consistency=stale", "get"})
        read(client, path(key) + how, value, all);
  }
  void read(io::http_client& client, const std::string& target,
            const std::string& right, bool all) {
    io::http_call c;
    c.target = target;
    c.timeout = all ? duration{10s} : duration{2s};
    c.headers.emplace_back("Banyan-Deadline-Ms", all ? "8000" : "1000");
    const auto r = client.call(c);
    if (!r.ok() || r->status != 200) {
      if (all)
        fail(target + " is not answered: " + (r.ok() ? r->body : "no answer"));
      return;
    }
    ++tally_.reads;
    if (r->body.find("\"result\":\"" + right + '"') == std::string::npos) {
      ++tally_.wrong;
      fail(target + " is answered " + r->body.substr(0, 200));
    }
  }

  /// Reads the peer's disk again; all that is found must be mended.
  void verify(std::size_t i) {
    io::http_call c;
    c.method = "POST";
    c.target = "/v1/verify";
    const auto begun = mesh_.call(mesh_.control(i), std::move(c));
    if (begun.status >= 300)
      return fail("verify doesn't begin: " + begun.body);
    value v;
    if (!wait_until(
            [&] {
              v = mesh_.get(i, "/v1/verify");
              return v["state"].text == "done" && v["open"].integer == 0;
            },
            60s, 50ms))
      return fail("verify ends with damage that is not mended");
  }

  /// A stopped peer's store has no damage: what was flipped in it is repaired.
  void check_whole(std::size_t i) {
    const stopped_store store{mesh_.data(i), mesh_.dir() / "judged"};
    const auto damage = store.damage();
    if (!damage.empty())
      return fail("peer " + std::to_string(i) + " is not repaired: " + damage);
    tally_.repaired += unproved_[i];
    unproved_[i] = 0;
  }

  void report() const {
    flips all;
    std::cout << "\nseed " << options_.seed << ", " << options_.rounds
              << " rounds\n";
    const auto line = [](const std::string& where, const flips& f) {
      std::cout << "  " << where << f.all << " flips: " << f.found
                << " damage of a whole file, " << f.rows << " damage of a row, "
                << f.harmless << " harmless (same content), " << f.missed
                << " missed\n";
    };
    for (const auto& [file, n] : tally_.by_file) {
      line(file + ": ", n);
      all.add(n);
    }
    line("", all);
    std::cout << "  repaired " << tally_.repaired << " of " << all.damage()
              << ": " << tally_.peers.logs << " logs given up, " << tally_.aside
              << " states set aside, " << tally_.peers.rows
              << " rows mended\n  " << tally_.reads << " reads answered, "
              << tally_.wrong << " wrong; " << tally_.restarts
              << " restarts beyond the first\n"
              << (failures_ == 0 && tally_.repaired == all.damage()
                      ? "all accounted for"
                      : "FAILED")
              << std::endl;
  }

  options options_;
  seeded_random random_;
  process_mesh mesh_{{{"here"}, {"here"}, {"here"}}};
  std::map<std::size_t, std::string> model_;
  std::array<std::size_t, 3> unproved_{};
  std::uint64_t written_ = 0;
  std::size_t failures_ = 0;
  tally tally_;
};

int main_of(const std::vector<std::string>& args) {
  if (args.size() == 2 && args[0] == "--judge-state")
    return judge_state(args[1]);
  options o;
  for (std::size_t n = 0; n + 1 < args.size(); n += 2) {
    const auto number = std::stoull(args[n + 1]);
    if (args[n] == "--rounds")
      o.rounds = number;
    else if (args[n] == "--flips")
      o.flips = number;
    else if (args[n] == "--seed")
      o.seed = number;
    else
      return 2;
  }
  return bitrot{o}.run() ? 0 : 1;
}

} // namespace
} // namespace banyan::test

int main(int argc, char** argv) {
  try {
    return banyan::test::main_of({argv + 1, argv + argc});
  } catch (const std::exception& e) {
    std::cout << e.what() << std::endl;
    return 1;
  }
}
