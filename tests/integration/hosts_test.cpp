// App hosts as they really run: what a spec limits, what a peer's secrets are
// kept from, and what a poison command comes to.
#include "actors/docs/key_files.hpp"
#include "crypto/system_random.hpp"
#include "tests/integration/integration.hpp"

#include <algorithm>
#include <csignal>
#include <fstream>
#include <set>
#include <sstream>
#include <thread>

namespace banyan::test {
namespace {

std::string read_text(const std::filesystem::path& file) {
  std::ifstream in{file, std::ios::binary};
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

std::string command_line(pid_t pid) {
  return read_text("/proc/" + std::to_string(pid) + "/cmdline");
}

pid_t parent_of(pid_t pid) {
  const auto stat = read_text("/proc/" + std::to_string(pid) + "/stat");
  const auto at = stat.rfind(')');
  if (at == std::string::npos)
    return 0;
  std::istringstream rest{stat.substr(at + 1)};
  std::string state;
  pid_t parent = 0;
  rest >> state >> parent;
  return parent;
}

/// Whether memory of the process holds one of the needles; of an own mapping,
/// not of a file that any process may read.
std::set<std::string> found_in(pid_t pid,
                               const std::map<std::string, std::string>& what) {
  std::set<std::string> out;
  std::ifstream maps{"/proc/" + std::to_string(pid) + "/maps"};
  std::ifstream memory{"/proc/" + std::to_string(pid) + "/mem",
                       std::ios::binary};
  for (std::string line; std::getline(maps, line);) {
    std::istringstream fields{line};
    std::string range;
    std::string access;
    std::string offset;
    std::string device;
    std::string inode;
    std::string path;
    fields >> range >> access >> offset >> device >> inode >> path;
    const auto dash = range.find('-');
    const auto from = std::stoull(range.substr(0, dash), nullptr, 16);
    const auto to = std::stoull(range.substr(dash + 1), nullptr, 16);
    if (access[0] != 'r' || path.find("data.mdb") != std::string::npos
        || path.rfind("[v", 0) == 0 || to - from > (std::uint64_t{256} << 20))
      continue;
    std::string bytes(to - from, '\0');
    memory.clear();
    memory.seekg(static_cast<std::streamoff>(from));
    memory.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    bytes.resize(static_cast<std::size_t>(memory.gcount()));
    for (const auto& [name, needle] : what)
      if (bytes.find(needle) != std::string::npos)
        out.insert(name);
  }
  return out;
}

/// Three peers of a mesh with keys, and an owner who deploys.
class hosts : public ::testing::Test {
protected:
  static void SetUpTestSuite() {
    keys = new temporary_directory;
    system_random entropy;
    const auto made = init_mesh(keys->path(), "hosts", entropy);
    ASSERT_TRUE(made.ok());
    owner = made->owner_file.string();
    mesh_file_path = made->mesh;
    mesh_options o;
    o.mesh_file = mesh_file_path.string();
    mesh = new process_mesh{std::vector<peer_place>(3), o};
    mesh->start_all();
    mesh->wait_members(3);
  }
  static void TearDownTestSuite() {
    delete mesh;
    delete keys;
  }
  void TearDown() override { EXPECT_EQ(mesh->casualties(), ""); }

  /// The crasher under a name of its own, so that its ladder is.
  static void deploy(const std::string& name, const std::string& spec = {}) {
    const auto file = keys->path() / (name + ".toml");
    std::ofstream{file} << "name = \"" << name
                        << "\"\nmodule = \"crasher\"\naccess = \"public\"\n"
                           "shards = 1\nreplicas = 3\n"
                        << spec;
    const auto r =
        run_program({BANYAN_CLI_BINARY, "--data", mesh->data(0).string(),
                     "deploy", file.string(), "--owner", owner});
    ASSERT_EQ(r.end.code, 0) << r.out << r.err << mesh->last_words();
    mesh->wait_healthy(name, 3);
    ASSERT_EQ(ask(name, "well", "touch").status, 200);
  }
  static io::http_reply ask(const std::string& app, const std::string& actor,
                            const std::string& command, std::size_t by = 0,
                            const std::string& key = {}) {
    io::http_call c;
    c.method = "POST";
    c.target = "/v1/apps/" + app + "/actors/" + actor + "/" + command;
    c.timeout = 40s;
    c.headers = {{"banyan-deadline-ms", "30000"}};
    if (!key.empty())
      c.headers.push_back({"idempotency-key", key});
    return mesh->call(mesh->control(by), c);
  }
  static bool is_poisoned(const io::http_reply& r) {
    return r.status == 500 && r.body.find("poisoned") != std::string::npos;
  }
  /// The host processes of that app on that peer.
  static std::vector<pid_t> host_processes(std::size_t peer) {
    std::vector<pid_t> out;
    for (const auto& p : std::filesystem::directory_iterator{"/proc"}) {
      const auto name = p.path().filename().string();
      if (name.find_first_not_of("0123456789") != std::string::npos)
        continue;
      const pid_t pid = std::stoi(name);
      if (command_line(pid).rfind("banyan-host:", 0) == 0
          && command_line(parent_of(pid)).find(mesh->data(peer).string())
                 != std::string::npos)
        out.push_back(pid);
    }
    return out;
  }
  /// What holds of a host holds once app code may run: until it has mapped the
  /// module, it is still making itself ready.
  static bool has_module(pid_t pid, const std::string& module) {
    return read_text("/proc/" + std::to_string(pid) + "/maps").find(module)
           != std::string::npos;
  }
  static std::string logs() {
    std::string out;
    for (std::size_t i = 0; i < 3; ++i)
      out += read_text(mesh->dir() / ("p" + std::to_string(i) + ".log"));
    return out;
  }
  static double metric(std::size_t peer, const std::string& name) {
    io::http_call c;
    c.target = "/metrics";
    const auto text = mesh->call(mesh->control(peer), c).body;
    const auto at = text.find("\nbanyan_" + name + " ");
    return at == std::string::npos
               ? -1
               : std::stod(text.substr(at + name.size() + 9));
  }
  static double metric(const std::string& name) {
    return metric(0, name) + metric(1, name) + metric(2, name);
  }

  static inline temporary_directory* keys = nullptr;
  static inline process_mesh* mesh = nullptr;
  static inline std::string owner;
  static inline std::filesystem::path mesh_file_path;
};

TEST_F(hosts, have_no_key_no_descriptor_and_no_environment_of_their_peer) {
  const words_on_failure words{*mesh};
  deploy("spied");
  // One that has lived and died a little.
  ASSERT_TRUE(is_poisoned(ask("spied", "ill", "segv")));
  for (std::size_t peer = 0; peer < 3; ++peer) {
    std::map<std::string, std::string> secrets;
    const auto add = [&](const std::string& name, const std::string& text) {
      bytes raw;
      ASSERT_GE(text.size(), 20U) << name;
      secrets[name] = text;
      if (from_base32(text, raw) && raw.size() >= 32)
        secrets[name + ", raw"] = to_text(raw);
    };
    const auto line_behind = [](const std::string& text,
                                const std::string& word) {
      const auto at = text.find(word);
      const auto from = at + word.size();
      return at == std::string::npos
                 ? std::string{}
                 : text.substr(from, text.find('\n', from) - from);
    };
    add("node key",
        line_behind(read_text(mesh->data(peer) / "node.key"), "key 1\n"));
    add("mesh key", line_behind(read_text(mesh_file_path), "\nkey "));
    auto token = read_text(mesh->data(peer) / "admin.token");
    token.erase(token.find_last_not_of('\n') + 1);
    add("admin token", token);
    std::vector<pid_t> processes; // the leader's waits for its restart
    ASSERT_TRUE(wait_until(
        [&] {
          processes = host_processes(peer);
          return !processes.empty()
                 && std::all_of(
                     processes.begin(), processes.end(),
                     [](pid_t p) { return has_module(p, "crasher"); });
        },
        30s));
    for (const auto pid : processes) {
      EXPECT_EQ(found_in(pid, secrets), std::set<std::string>{});
      const auto at = std::filesystem::path{"/proc"} / std::to_string(pid);
      EXPECT_EQ(read_text(at / "environ"),
                std::string{"PATH=/usr/local/bin:/usr/bin:/bin"} + '\0'
                    + "MALLOC_CONF=retain:false,narenas:1" + '\0');
      std::vector<std::string> open;
      for (const auto& fd : std::filesystem::directory_iterator{at / "fd"}) {
        const auto to = std::filesystem::read_symlink(fd.path()).string();
        open.push_back(fd.path().filename().string() + " "
                       + to.substr(0, to.find('[')));
      }
      std::sort(open.begin(), open.end());
      EXPECT_EQ(open, (std::vector<std::string>{
                          "0 /dev/null", "1 pipe:", "2 pipe:", "3 socket:"}));
      const auto limits = read_text(at / "limits");
      for (const char* what :
           {"Max core file size        0  ", "Max open files            64 ",
            "Max data size             1073741824 "})
        EXPECT_NE(limits.find(what), std::string::npos) << limits;
    }
    // The same look at the peer finds them: it is able to.
    const auto in_peer = found_in(parent_of(processes[0]), secrets);
    EXPECT_EQ(in_peer.count("admin token"), 1U);
    EXPECT_EQ(in_peer.count("node key, raw"), 1U);
  }
}

TEST_F(hosts, a_leak_ends_at_the_memory_of_the_spec) {
  const words_on_failure words{*mesh};
  deploy("leaky", "memory = \"64MiB\"\n");
  EXPECT_TRUE(is_poisoned(ask("leaky", "ill", "leak")));
  EXPECT_EQ(ask("leaky", "well", "touch").status, 200);
  EXPECT_EQ(ask("leaky", "ill", "touch").status, 200);
  EXPECT_NE(logs().find("crasher: reached its memory limit of 64 MiB"),
            std::string::npos);
}

TEST_F(hosts, a_spin_is_said_and_ends_at_the_turn_time_of_the_spec) {
  const words_on_failure words{*mesh};
  deploy("dizzy", "turn_time = \"300ms\"\n");
  const auto begun = now();
  EXPECT_TRUE(is_poisoned(ask("dizzy", "ill", "spin")));
  EXPECT_LT(now() - begun, 8s); // three times 300 ms, and some restarts
  EXPECT_EQ(ask("dizzy", "well", "touch").status, 200);
  EXPECT_NE(logs().find("app dizzy: a turn runs for more than 150 ms; its host "
                        "is ended at 300 ms"),
            std::string::npos);
  EXPECT_NE(logs().find("crasher: a turn ran longer than 300 ms"),
            std::string::npos);
  EXPECT_GE(metric("turns_slow_total"), 3);
}

// Whoever asks, wherever, as often as they like: three attempts in all.
TEST_F(hosts, a_poison_command_is_quarantined_everywhere) {
  const words_on_failure words{*mesh};
  deploy("toxic");
  const auto failed = metric("hosts_failed_total");
  for (std::size_t i = 0; i < 6; ++i)
    EXPECT_TRUE(is_poisoned(ask("toxic", "ill", "abort", i % 3, "once-only")))
        << i;
  EXPECT_EQ(metric("hosts_failed_total") - failed, 3);
  for (std::size_t peer = 0; peer < 3; ++peer) {
    EXPECT_EQ(ask("toxic", "ill", "touch", peer).status, 200);
    EXPECT_EQ(ask("toxic", "well", "touch", peer).status, 200);
    io::http_call c;
    c.target = "/v1/events?follow=0";
    const auto events = mesh->call(mesh->control(peer), c).body;
    EXPECT_NE(events.find("abort of ill: its host or leader died under it 3 "
                          "times"),
              std::string::npos)
        << events;
  }
  EXPECT_GE(metric("requests_poisoned_total"), 1);
}

TEST_F(hosts, what_throws_is_an_error_and_costs_no_host) {
  const words_on_failure words{*mesh};
  deploy("clumsy");
  const auto failed = metric("hosts_failed_total");
  const auto threw = metric("handlers_threw_total");
  const auto leader = mesh->leader_of("clumsy");
  for (int i = 0; i < 20; ++i) {
    const auto r = ask("clumsy", "ill", "throw");
    EXPECT_EQ(r.status, 500);
    EXPECT_NE(r.body.find("app_failed"), std::string::npos) << r.body;
  }
  EXPECT_EQ(ask("clumsy", "ill", "touch").body.find("\"result\":1,"),
            ask("clumsy", "well2", "touch").body.find("\"result\":1,"));
  EXPECT_EQ(metric("hosts_failed_total"), failed);
  EXPECT_EQ(metric("handlers_threw_total") - threw, 20);
  EXPECT_EQ(mesh->leader_of("clumsy"), leader);
}

// Last: it ends a peer.
TEST_F(hosts, z_end_with_their_peer) {
  const auto processes = host_processes(2);
  ASSERT_FALSE(processes.empty());
  mesh->kill(2);
  EXPECT_TRUE(wait_until(
      [&] {
        return std::none_of(processes.begin(), processes.end(), [](pid_t pid) {
          return command_line(pid).rfind("banyan-host:", 0) == 0;
        });
      },
      30s));
}

// Two requests are outstanding as a leader is killed, of which one is running:
// a record against both. Who comes back knows which it was by its host's trail,
// and has the other record struck out. Three leaders die: only the request that
// each of them was running is poisoned.
TEST(trails, a_request_that_was_not_running_outlives_three_leaders) {
  process_mesh mesh{std::vector<peer_place>(4)};
  const words_on_failure words{mesh};
  mesh.start_all();
  mesh.wait_members(4);
  mesh.deploy("doubted",
              "name = \"doubted\"\nmodule = \"crasher\"\nshards = 1\n"
              "replicas = 3\nturn_time = \"60s\"\n");
  mesh.wait_healthy("doubted", 3);
  const auto row = mesh.app(0, "doubted");
  ASSERT_TRUE(row);
  std::size_t door = 0; // a peer that lives through it all: no voter
  while (std::any_of(row->groups.at(0).voters.begin(),
                     row->groups.at(0).voters.end(),
                     [&](const auto& v) { return v.node == mesh.node(door); }))
    ++door;
  const auto ask = [&](const std::string& what) {
    io::http_call c;
    c.method = "POST";
    c.target = "/v1/apps/doubted/actors/" + what;
    c.timeout = 60s;
    c.headers = {{"banyan-deadline-ms", "55000"}};
    return mesh.call(mesh.http(door), c);
  };
  const auto taken = [&] {
    io::http_call c;
    c.target = "/metrics";
    const auto text = mesh.call(mesh.control(door), c).body;
    const auto at = text.find("\nbanyan_calls_total ");
    return at == std::string::npos ? -1 : std::stoi(text.substr(at + 20));
  };
  /// The host of the leader is in a turn: it computes.
  const auto spinning = [&](std::size_t peer) {
    const auto count = [&] {
      const auto text =
          read_text(mesh.dir() / ("p" + std::to_string(peer) + ".log"));
      std::size_t n = 0;
      for (auto at = text.find("a turn runs for more"); at != std::string::npos;
           at = text.find("a turn runs for more", at + 1))
        ++n;
      return n;
    };
    return count();
  };
  io::http_reply ill;
  io::http_reply well;
  const auto before = taken();
  std::vector<std::size_t> said;
  for (std::size_t i = 0; i < 4; ++i)
    said.push_back(spinning(i));
  std::thread running{[&] { ill = ask("ill/spin"); }};
  EXPECT_TRUE(wait_until([&] { return taken() == before + 1; }, 30s));
  std::thread waiting{[&] { well = ask("well/touch"); }};
  EXPECT_TRUE(wait_until([&] { return taken() == before + 2; }, 30s));
  for (int death = 0; death < 3; ++death) {
    std::optional<std::size_t> leader;
    EXPECT_TRUE(wait_until(
        [&] {
          leader = mesh.leader_of("doubted");
          return leader && spinning(*leader) > said[*leader];
        },
        15s));
    if (!leader)
      break;
    mesh.kill(*leader);
    mesh.start(*leader);
    said[*leader] = spinning(*leader);
    mesh.wait_members(4);
    mesh.wait_healthy("doubted", 3);
  }
  running.join();
  waiting.join();
  EXPECT_EQ(ill.status, 500) << ill.body;
  EXPECT_NE(ill.body.find("poisoned"), std::string::npos) << ill.body;
  EXPECT_EQ(well.status, 200) << well.body;
}

} // namespace
} // namespace banyan::test
