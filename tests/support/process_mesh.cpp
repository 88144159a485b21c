#include "tests/support/process_mesh.hpp"

#include <csignal>
#include <stdexcept>
#include <thread>

namespace banyan::test {

struct process_mesh::peer {
  peer_place place;
  std::uint16_t link_port = 0;
  std::uint16_t http_port = 0;
  std::unique_ptr<process> running;
  bool frozen = false;
  std::string node;
  std::string listen;
  std::string binary = BANYAN_PEER_BINARY;
};

namespace {

std::string field_of(const std::string& line, const std::string& name) {
  const auto at = line.find(" " + name + "=");
  if (at == std::string::npos)
    return {};
  const auto from = at + name.size() + 2;
  return line.substr(from, line.find(' ', from) - from);
}

std::vector<replica_row> replicas_of(const value& list) {
  std::vector<replica_row> out;
  for (const auto& r : list.list)
    out.push_back({r["node"].text, r["state"].text});
  return out;
}

std::string said(const exit_state& e) {
  return e.signal != 0 ? "died by signal " + std::to_string(e.signal)
                       : "exited with " + std::to_string(e.code);
}

} // namespace

process_mesh::process_mesh(std::vector<peer_place> places, mesh_options options)
    : options_{std::move(options)} {
  for (auto& place : places) {
    auto p = std::make_unique<peer>();
    p->place = std::move(place);
    p->link_port = free_port();
    p->http_port = free_port();
    peers_.push_back(std::move(p));
  }
}

process_mesh::~process_mesh() = default;

void process_mesh::launch(std::size_t i, bool join) {
  auto& p = *peers_[i];
  std::vector<std::string> argv{p.binary,
                                "--data",
                                data(i).string(),
                                "--listen",
                                listening(i),
                                "--http",
                                p.place.address + ":"
                                    + std::to_string(p.http_port),
                                "--region",
                                p.place.region};
  if (options_.apps)
    argv.insert(argv.end(), {"--apps", BANYAN_APPS_DIR});
  if (!p.place.zone.empty())
    argv.insert(argv.end(), {"--zone", p.place.zone});
  const auto& mesh =
      p.place.mesh_file.empty() ? options_.mesh_file : p.place.mesh_file;
  if (!mesh.empty())
    argv.insert(argv.end(), {"--mesh-file", mesh});
  argv.insert(argv.end(), options_.flags.begin(), options_.flags.end());
  argv.insert(argv.end(), p.place.flags.begin(), p.place.flags.end());
  // Any peer will do; the first is joined while all start at once.
  std::size_t seed = 0;
  for (std::size_t k = 0; k < peers_.size(); ++k)
    if (k != i && serving(k)) {
      seed = k;
      break;
    }
  if (options_.join_tree && i > 0 && serving(i / 8))
    seed = i / 8;
  if (join && seed != i)
    argv.insert(
        argv.end(),
        {"--join", join_host_.empty()
                       ? listening(seed)
                       : join_host_ + ":" + std::to_string(link_port(seed))});
  auto child = std::make_unique<process>(
      argv, dir() / ("p" + std::to_string(i) + ".log"),
      std::vector<std::string>{}, p.place.net_space);
  const std::lock_guard lock{mutex_};
  p.running = std::move(child);
  p.frozen = false;
}

void process_mesh::await_ready(std::size_t i) {
  auto& p = *peers_[i];
  const auto due = now() + options_.start_limit;
  while (auto line = p.running->line(due)) {
    if (line->rfind("ready ", 0) != 0)
      continue;
    const std::lock_guard lock{mutex_};
    p.node = field_of(*line, "node");
    p.listen = field_of(*line, "listen");
    return;
  }
  const auto ended = p.running->wait(now() + 100ms);
  throw std::runtime_error{"peer " + std::to_string(i) + " "
                           + (ended ? said(*ended) : "was not ready in time")
                           + "\n" + last_words()};
}

void process_mesh::start(std::size_t i, bool join) {
  launch(i, join);
  await_ready(i);
}

void process_mesh::start_all() {
  for (std::size_t i = 0; i < peers_.size(); ++i)
    if (!running(i))
      launch(i);
  for (std::size_t i = 0; i < peers_.size(); ++i)
    await_ready(i);
}

void process_mesh::use_binary(std::size_t i, const std::string& file) {
  peers_[i]->binary = file;
}

void process_mesh::kill(std::size_t i) {
  std::unique_ptr<process> gone;
  {
    const std::lock_guard lock{mutex_};
    gone = std::move(peers_[i]->running);
  }
  if (gone == nullptr)
    return;
  gone->signal(SIGKILL);
  gone->wait(time_point::max());
}

int process_mesh::terminate(std::size_t i, duration limit) {
  std::unique_ptr<process> gone;
  {
    const std::lock_guard lock{mutex_};
    gone = std::move(peers_[i]->running);
  }
  if (gone == nullptr)
    return -1;
  gone->signal(SIGTERM);
  const auto end = gone->wait(now() + limit);
  return end ? end->code : -1;
}

void process_mesh::signal(std::size_t i, int number) {
  const std::lock_guard lock{mutex_};
  if (peers_[i]->running != nullptr)
    peers_[i]->running->signal(number);
}

void process_mesh::freeze(std::size_t i) {
  const std::lock_guard lock{mutex_};
  peers_[i]->running->signal(SIGSTOP);
  peers_[i]->frozen = true;
}

void process_mesh::thaw(std::size_t i) {
  const std::lock_guard lock{mutex_};
  peers_[i]->running->signal(SIGCONT);
  peers_[i]->frozen = false;
}

void process_mesh::wipe(std::size_t i) {
  std::filesystem::remove_all(data(i));
}

bool process_mesh::running(std::size_t i) const {
  const std::lock_guard lock{mutex_};
  return peers_[i]->running != nullptr;
}

bool process_mesh::serving(std::size_t i) const {
  const std::lock_guard lock{mutex_};
  return peers_[i]->running != nullptr && !peers_[i]->frozen;
}

bool process_mesh::ended(std::size_t i) const {
  const std::lock_guard lock{mutex_};
  return peers_[i]->running != nullptr && peers_[i]->running->poll();
}

std::string process_mesh::casualties() {
  std::string out;
  const std::lock_guard lock{mutex_};
  for (std::size_t i = 0; i < peers_.size(); ++i)
    if (peers_[i]->running != nullptr)
      if (const auto end = peers_[i]->running->poll())
        out += "peer " + std::to_string(i) + " " + said(*end) + "\n"
               + tail_of(dir() / ("p" + std::to_string(i) + ".log"));
  return out;
}

const std::string& process_mesh::node(std::size_t i) const {
  return peers_[i]->node;
}

std::optional<std::size_t>
process_mesh::index_of(const std::string& node) const {
  for (std::size_t i = 0; i < peers_.size(); ++i)
    if (!node.empty() && peers_[i]->node == node)
      return i;
  return std::nullopt;
}

pid_t process_mesh::pid(std::size_t i) const {
  const std::lock_guard<std::mutex> g{mutex_};
  return peers_[i]->running ? peers_[i]->running->pid() : -1;
}

void process_mesh::move(std::size_t i, const std::string& address) {
  auto& p = *peers_[i];
  p.place.address = address;
  p.link_port = free_port();
  p.http_port = free_port();
}

std::filesystem::path process_mesh::data(std::size_t i) const {
  return dir() / ("p" + std::to_string(i));
}

std::string process_mesh::listening(std::size_t i) const {
  return peers_[i]->place.address + ":" + std::to_string(peers_[i]->link_port);
}

std::uint16_t process_mesh::link_port(std::size_t i) const {
  return peers_[i]->link_port;
}

io::http_target process_mesh::http(std::size_t i) const {
  io::http_target t;
  t.host = peers_[i]->place.address;
  t.port = peers_[i]->http_port;
  return t;
}

io::http_target process_mesh::control(std::size_t i) const {
  io::http_target t;
  t.unix_socket = data(i) / "control.sock";
  return t;
}

io::http_reply process_mesh::call(const io::http_target& to,
                                  io::http_call c) const {
  auto r = io::http_client{to}.call(c);
  if (r.ok())
    return std::move(*r);
  io::http_reply none;
  none.body = r.error().message;
  return none;
}

value process_mesh::get(std::size_t i, const std::string& target,
                        duration timeout) const {
  io::http_call c;
  c.target = target;
  c.timeout = timeout;
  c.headers = {{"accept", "application/msgpack"}};
  const auto r = call(http(i), std::move(c));
  return r.status == 200 ? parse_value(r.body) : value{};
}

void process_mesh::deploy(const std::string& name, const std::string& toml,
                          std::size_t by) const {
  io::http_call c;
  c.method = "PUT";
  c.target = "/v1/apps/" + name;
  c.headers = {{"content-type", "application/toml"}};
  c.body = toml;
  const auto r = call(control(by), std::move(c));
  if (r.status != 200)
    throw std::runtime_error{"deploy of " + name + ": "
                             + std::to_string(r.status) + " " + r.body + "\n"
                             + last_words()};
}

io::http_reply process_mesh::command(std::size_t i, const std::string& path,
                                     const std::string& body,
                                     duration limit) const {
  static std::atomic<unsigned> number{0};
  io::http_call c;
  c.method = "POST";
  c.target = path;
  c.body = body;
  c.headers = {{"idempotency-key", "mesh-" + std::to_string(++number)},
               {"accept", "application/msgpack"}};
  io::http_reply r;
  wait_until(
      [&] {
        r = call(http(i), c);
        return r.status != 0 && r.status != 503 && r.status != 504
               && r.status != 429;
      },
      limit);
  return r;
}

std::optional<app_row> process_mesh::app(std::size_t i,
                                         const std::string& name) const {
  const auto v = get(i, "/v1/apps/" + name);
  if (v.is_nil())
    return std::nullopt;
  app_row row{v["name"].text, v["health"].text, {}};
  for (const auto& g : v["groups"].list) {
    group_row& out = row.groups.emplace_back();
    out.shard = static_cast<std::uint32_t>(g["shard"].integer);
    out.term = static_cast<std::uint64_t>(g["term"].integer);
    out.committed = static_cast<std::uint64_t>(g["committed"].integer);
    out.leader = g["leader"].text;
    out.health = g["health"].text;
    out.voters = replicas_of(g["voters"]);
    out.learners = replicas_of(g["learners"]);
  }
  return row;
}

std::optional<std::size_t> process_mesh::leader_of(const std::string& name,
                                                   std::uint32_t shard) const {
  std::optional<std::size_t> leader;
  std::uint64_t term = 0;
  for (std::size_t i = 0; i < peers_.size(); ++i) {
    if (!serving(i))
      continue;
    const auto row = app(i, name);
    if (!row || row->groups.size() <= shard)
      continue;
    const auto& g = row->groups[shard];
    if (g.leader.empty() || g.term < term)
      continue;
    term = g.term;
    leader = index_of(g.leader);
  }
  if (leader && !serving(*leader))
    return std::nullopt;
  return leader;
}

void process_mesh::wait_healthy(const std::string& name, std::size_t voters,
                                duration limit) const {
  std::string seen;
  const auto fine = [&](std::size_t i) {
    const auto row = app(i, name);
    if (!row) {
      seen =
          "peer " + std::to_string(i) + " doesn't answer or knows no " + name;
      return false;
    }
    for (const auto& g : row->groups) {
      const auto leader = index_of(g.leader);
      if (g.health != "healthy" || g.voters.size() != voters || !leader
          || !serving(*leader)) {
        seen = "peer " + std::to_string(i) + " sees " + name + "/"
               + std::to_string(g.shard) + " " + g.health + " with "
               + std::to_string(g.voters.size()) + " voters, leader "
               + (leader ? std::to_string(*leader) : "none") + ", term "
               + std::to_string(g.term);
        return false;
      }
    }
    return !row->groups.empty();
  };
  const bool done = wait_until(
      [&] {
        for (std::size_t i = 0; i < peers_.size(); ++i)
          if (serving(i) && !fine(i))
            return false;
        return true;
      },
      limit, 20ms);
  if (!done)
    throw std::runtime_error{name + " isn't healthy: " + seen + "\n"
                             + last_words()};
}

void process_mesh::wait_members(std::size_t alive, duration limit) const {
  std::string seen;
  const bool done = wait_until(
      [&] {
        for (std::size_t i = 0; i < peers_.size(); ++i) {
          if (!serving(i))
            continue;
          const auto n = get(i, "/v1/status")["members"]["alive"].integer;
          if (n != static_cast<std::int64_t>(alive)) {
            seen = "peer " + std::to_string(i) + " counts " + std::to_string(n);
            return false;
          }
        }
        return true;
      },
      limit);
  if (!done)
    throw std::runtime_error{std::to_string(alive) + " members are not alive: "
                             + seen + "\n" + last_words()};
}

std::string process_mesh::last_words(std::size_t bytes) const {
  std::string out;
  for (std::size_t i = 0; i < peers_.size(); ++i)
    out += "--- peer " + std::to_string(i) + "\n"
           + tail_of(dir() / ("p" + std::to_string(i) + ".log"), bytes);
  return out;
}

bool wait_until(const std::function<bool()>& holds, duration limit,
                duration pause) {
  const auto due = now() + limit;
  while (!holds()) {
    if (now() >= due)
      return false;
    std::this_thread::sleep_for(
        pause); // between two looks, not in place of one
  }
  return true;
}

} // namespace banyan::test
