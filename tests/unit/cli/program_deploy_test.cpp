// `banyan deploy`, `plan` and `remove`, against a peer that is played.
#include "actors/docs/app_token.hpp"
#include "actors/docs/key_files.hpp"
#include "base/codec.hpp"
#include "papers.hpp"
#include "played_peer.hpp"

namespace banyan::cli {
namespace {

using banyan::test::contains;
using banyan::test::put;
using banyan::test::text_of;

constexpr auto spec_toml = "name = \"ledger\"\nmodule = \"ledger\"\n"
                           "shards = 2\n";

/// A peer with one app at most, as far as deploys can see.
class ProgramDeploy : public test::played_peer {
protected:
  ProgramDeploy() {
    put(dir / "ledger.toml", spec_toml);
    EXPECT_TRUE((owner_file{"orchard", world.mesh, world.owner.clone()}
                     .save(dir / "orchard.owner")
                     .ok()));
  }

  void begin() {
    play([this](const io::http_request& q, io::http_responder& r) {
      answer(q, r);
    });
  }
  test::run_result deploy_as_owner(std::vector<std::string> more = {}) {
    more.insert(more.begin(),
                {"deploy", "ledger.toml", "--owner", "orchard.owner"});
    return banyan(more);
  }
  std::size_t count(const std::string& method, const std::string& target) {
    std::size_t n = 0;
    for (const auto& q : seen())
      n += q.method == method && q.target == target ? 1 : 0;
    return n;
  }

  test::orchard world;
  std::string mesh = "orchard";
  bool degraded = false;      ///< plans have a warning
  bool loses_answers = false; ///< takes papers and says nothing
  int leaderless = 0;         ///< looks until all groups have a leader
  app_papers papers;          ///< of the app; genesis empty: no app
  std::string kept;           ///< NAME.deploy at the time of the last PUT

private:
  using request = io::http_request;

  static void msgpack(io::http_responder& r, const bytes& b) {
    r.send({200, to_text(b), "application/msgpack"});
  }

  void answer(const request& q, io::http_responder& r) {
    if (q.target == "/v1/status") {
      bytes b;
      writer{b}.map(1).text("mesh").text(mesh);
      return msgpack(r, b);
    }
    if (q.path.size() == 2 && q.path[1] == "plan")
      return msgpack(r, plan(q.parameter("prepare") != nullptr));
    if (q.method == "PUT" || q.method == "DELETE")
      return take(q, r);
    if (papers.genesis.body.empty())
      return void(r.send(io::http_error(404, "not_found", "no such app")));
    if (q.path.size() == 4)
      return msgpack(r, papers.encode());
    msgpack(r, view());
  }

  void take(const request& q, io::http_responder& r) {
    kept = text_of(dir / "ledger.deploy");
    if (contains(std::string{q.header("content-type")}, "msgpack")) {
      app_papers p;
      EXPECT_TRUE(app_papers::decode(as_bytes(q.body), p));
      if (loses_answers)
        return;
      if (!world.open(p).ok())
        return void(r.send(io::http_error(403, "forbidden", "not yours")));
      papers = p;
      return msgpack(r, deployed({}, false));
    }
    if (q.method == "PUT" && mesh == "local")
      papers = *sign_birth(world.owner, world.mesh, world.spec, world.where,
                           world.random);
    if (mesh != "local")
      return void(r.send(
          io::http_error(403, "forbidden", "this mesh has owners: --owner")));
    msgpack(r, deployed(world.where.voters, degraded));
  }

  bytes plan(bool prepared) {
    auto voters = world.where.voters;
    if (!prepared)
      for (auto& shard : voters)
        for (auto& v : shard)
          v.replica = {};
    return deployed(voters, degraded);
  }

  bytes deployed(const std::vector<std::vector<replica_ref>>& voters,
                 bool warn) {
    bytes b;
    writer w{b};
    w.map(5).text("app").text(papers.genesis.body.empty() ? "" : "app-id");
    w.text("nonce").text(to_hex(world.where.nonce)).text("survives").uint(1);
    w.text("warnings").array(warn ? 1 : 0);
    if (warn)
      w.text("degraded: 1 of 3 voters");
    w.text("voters").array(voters.size());
    for (const auto& shard : voters) {
      w.array(shard.size());
      for (const auto& v : shard) {
        w.map(3).text("node").text(to_string(v.node));
        w.text("replica").text(to_hex(v.replica.view()));
        w.text("region").text("eu");
      }
    }
    return b;
  }

  bytes view() {
    const bool led = leaderless-- <= 0;
    bytes b;
    writer w{b};
    w.map(3).text("name").text("ledger").text("version");
    w.uint(papers.version.version).text("groups").array(2);
    for (int shard = 0; shard < 2; ++shard) {
      w.map(2).text("leader");
      if (led || shard == 0)
        w.text("abc");
      else
        w.nil();
      w.text("voters").array(3).nil().nil().nil();
    }
    return b;
  }
};

TEST_F(ProgramDeploy, InTheLocalMeshThePeerSigns) {
  mesh = "local";
  begin();
  const auto a = banyan({"deploy", "ledger.toml"});
  EXPECT_EQ(a.code, 0) << a.err;
  EXPECT_TRUE(contains(a.out, "survives 1 failed node")) << a.out;
  const auto q = seen();
  ASSERT_FALSE(q.empty());
  EXPECT_EQ(q[0].method, "PUT");
  EXPECT_EQ(q[0].target, "/v1/apps/ledger");
  EXPECT_EQ(q[0].body, spec_toml);
  EXPECT_EQ(banyan({"deploy", "ledger.toml", "--strict"}).code, 0);
  EXPECT_EQ(count("PUT", "/v1/apps/ledger?strict=1"), 1u);
}

TEST_F(ProgramDeploy, ADeployIsDoneWhenEveryGroupHasALeader) {
  mesh = "local";
  leaderless = 2;
  begin();
  const auto a = banyan({"deploy", "ledger.toml"});
  EXPECT_EQ(a.code, 0) << a.err;
  EXPECT_EQ(count("GET", "/v1/apps/ledger"), 3u);
  EXPECT_TRUE(contains(a.err, "1 of 2 groups")) << a.err;
}

TEST_F(ProgramDeploy, AMeshWithOwnersSaysSo) {
  begin();
  const auto a = banyan({"deploy", "ledger.toml"});
  EXPECT_EQ(a.code, 1);
  EXPECT_TRUE(contains(a.err, "--owner")) << a.err;
}

TEST_F(ProgramDeploy, AnOwnersDeployIsKeptBeforeItIsSentAndGoneWhenDone) {
  begin();
  const auto a = deploy_as_owner();
  ASSERT_EQ(a.code, 0) << a.err;
  const auto app = world.open(papers);
  ASSERT_TRUE(app.ok());
  EXPECT_EQ(app->genesis.voters, world.where.voters);
  EXPECT_EQ(kept, to_text(papers.encode()));
  EXPECT_FALSE(std::filesystem::exists(dir / "ledger.deploy"));
  EXPECT_TRUE(contains(a.out, "survives 1 failed node")) << a.out;
}

TEST_F(ProgramDeploy, ALostDeployIsSentAgainAsItWas) {
  loses_answers = true;
  begin();
  const auto a = deploy_as_owner();
  EXPECT_EQ(a.code, 3) << a.err;
  const auto signed_first = text_of(dir / "ledger.deploy");
  ASSERT_FALSE(signed_first.empty());
  loses_answers = false;
  const auto again = deploy_as_owner();
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(to_text(papers.encode()), signed_first);
  EXPECT_EQ(count("POST", "/v1/plan?prepare=1"), 1u);
}

TEST_F(ProgramDeploy, ALostDeployWithAnotherSpecIsSentAndThenUpdated) {
  loses_answers = true;
  begin();
  ASSERT_EQ(deploy_as_owner().code, 3);
  const auto first = text_of(dir / "ledger.deploy");
  loses_answers = false;
  put(dir / "ledger.toml", std::string{spec_toml} + "replace_after = \"2s\"\n");
  ASSERT_EQ(deploy_as_owner().code, 0);
  app_papers lost;
  ASSERT_TRUE(app_papers::decode(as_bytes(first), lost));
  const auto app = world.open(papers);
  EXPECT_EQ(app->id, world.open(lost)->id);
  EXPECT_EQ(app->number, 2u);
  EXPECT_EQ(app->version.spec.replace_after, 2s);
}

TEST_F(ProgramDeploy, AnUpdateSignsTheNextVersionAndTheSameSpecNone) {
  begin();
  ASSERT_EQ(deploy_as_owner().code, 0);
  const auto id = world.open(papers)->id;
  ASSERT_EQ(deploy_as_owner().code, 0);
  EXPECT_EQ(world.open(papers)->number, 1u);
  put(dir / "ledger.toml", std::string{spec_toml} + "replace_after = \"2s\"\n");
  ASSERT_EQ(deploy_as_owner().code, 0);
  EXPECT_EQ(world.open(papers)->id, id);
  EXPECT_EQ(world.open(papers)->number, 2u);
  EXPECT_EQ(count("POST", "/v1/plan?prepare=1"), 1u);
  put(dir / "ledger.toml",
      "name = \"ledger\"\nmodule = \"ledger\"\nshards = 3\n");
  const auto a = deploy_as_owner();
  EXPECT_EQ(a.code, 1);
  EXPECT_TRUE(contains(a.err, "fixed at birth: 2")) << a.err;
}

TEST_F(ProgramDeploy, AnAppsTokenIsMadeOnceAndShownOnce) {
  const auto shown = [](const std::string& text) {
    const std::string line = "shown this once: ";
    const auto at = text.find(line);
    return at == std::string::npos ? std::string{}
                                   : text.substr(at + line.size(), 32);
  };
  const auto opens = [&](const std::string& token) {
    return is_app_token(token, world.open(papers)->version.spec.token_hash);
  };
  begin();
  const auto first = shown(deploy_as_owner().out);
  EXPECT_TRUE(opens(first)) << first;
  EXPECT_EQ(shown(deploy_as_owner().out), "");
  EXPECT_EQ(world.open(papers)->number, 1u);
  put(dir / "ledger.toml", std::string{spec_toml} + "replace_after = \"2s\"\n");
  EXPECT_EQ(shown(deploy_as_owner().out), "");
  EXPECT_TRUE(opens(first));
  // Another one, with nothing else changed.
  const auto second = shown(deploy_as_owner({"--new-token"}).out);
  EXPECT_EQ(world.open(papers)->number, 3u);
  EXPECT_TRUE(opens(second));
  EXPECT_FALSE(opens(first));
  // It isn't lost with an answer, nor in the way of JSON.
  loses_answers = true;
  const auto lost = deploy_as_owner({"--new-token"});
  EXPECT_EQ(lost.code, 3);
  const auto third = shown(lost.err);
  loses_answers = false;
  const auto json = deploy_as_owner({"--json"});
  EXPECT_EQ(json.code, 0) << json.err;
  EXPECT_TRUE(opens(third));
  EXPECT_EQ(shown(json.out + json.err), "");
}

TEST_F(ProgramDeploy, AnAppForEverybodyHasNoToken) {
  put(dir / "ledger.toml", std::string{spec_toml} + "access = \"public\"\n");
  begin();
  const auto a = deploy_as_owner();
  EXPECT_EQ(a.code, 0) << a.err;
  EXPECT_FALSE(contains(a.out, "token")) << a.out;
  EXPECT_TRUE(world.open(papers)->version.spec.token_hash.empty());
}

TEST_F(ProgramDeploy, StrictRefusesBeforeAnyNodeMakesAnything) {
  degraded = true;
  begin();
  const auto a = deploy_as_owner({"--strict"});
  EXPECT_EQ(a.code, 1);
  EXPECT_TRUE(contains(a.err, "degraded")) << a.err;
  EXPECT_EQ(count("POST", "/v1/plan"), 1u);
  EXPECT_EQ(count("POST", "/v1/plan?prepare=1"), 0u);
  const auto b = deploy_as_owner();
  EXPECT_EQ(b.code, 0);
  EXPECT_TRUE(contains(b.err, "warning: degraded")) << b.err;
}

TEST_F(ProgramDeploy, NothingIsSignedForAnotherMesh) {
  mesh = "meadow";
  begin();
  const auto a = deploy_as_owner();
  EXPECT_EQ(a.code, 1);
  EXPECT_TRUE(contains(a.err, "meadow")) << a.err;
  EXPECT_EQ(seen().size(), 1u);
}

TEST_F(ProgramDeploy, AnAppOfAnotherOwnerIsLeftAlone) {
  begin();
  ASSERT_EQ(deploy_as_owner().code, 0);
  std::filesystem::remove(dir / "orchard.owner");
  auto other = identity::generate(world.random);
  ASSERT_TRUE((owner_file{"orchard", world.mesh, std::move(other)}
                   .save(dir / "orchard.owner")
                   .ok()));
  for (const auto& a :
       {deploy_as_owner(),
        banyan({"remove", "ledger", "--yes", "--owner", "orchard.owner"})}) {
    EXPECT_EQ(a.code, 1);
    EXPECT_TRUE(contains(a.err, "another owner")) << a.err;
  }
}

TEST_F(ProgramDeploy, AnOwnersRemovalIsSignedAndTheNameIsFreeAgain) {
  begin();
  ASSERT_EQ(deploy_as_owner().code, 0);
  const auto id = world.open(papers)->id;
  const auto a =
      banyan({"remove", "ledger", "--yes", "--owner", "orchard.owner"});
  ASSERT_EQ(a.code, 0) << a.err;
  EXPECT_TRUE(world.open(papers)->deleted);
  EXPECT_EQ(world.open(papers)->id, id);
  ASSERT_EQ(deploy_as_owner().code, 0);
  EXPECT_FALSE(world.open(papers)->deleted);
  EXPECT_NE(world.open(papers)->id, id);
}

TEST_F(ProgramDeploy, RemoveAsksForTheName) {
  mesh = "local";
  begin();
  ASSERT_EQ(banyan({"deploy", "ledger.toml"}).code, 0);
  EXPECT_EQ(banyan({"remove", "ledger"}, "yes\n").code, 1);
  EXPECT_EQ(banyan({"remove", "ledger"}).code, 1);
  EXPECT_EQ(count("DELETE", "/v1/apps/ledger"), 0u);
  EXPECT_EQ(banyan({"remove", "ledger"}, "ledger\n").code, 0);
  EXPECT_EQ(count("DELETE", "/v1/apps/ledger"), 1u);
}

TEST_F(ProgramDeploy, BadSpecsAreExit2WithTheirLine) {
  begin();
  put(dir / "ledger.toml", "name = \"ledger\"\nmodule = \"ledger\"\nsh = 2\n");
  const auto unknown = banyan({"deploy", "ledger.toml"});
  EXPECT_EQ(unknown.code, 2);
  EXPECT_TRUE(contains(unknown.err, "ledger.toml:3")) << unknown.err;
  put(dir / "ledger.toml", "name = \"ledger\"\n[module]\n"
                           "x86_64-linux = \"l.so\"\n");
  const auto modules = banyan({"deploy", "ledger.toml"});
  EXPECT_EQ(modules.code, 2);
  EXPECT_TRUE(contains(modules.err, "l.so: no such file")) << modules.err;
  EXPECT_EQ(banyan({"deploy", "absent.toml"}).code, 2);
  EXPECT_EQ(banyan({"plan", "."}).code, 2);
  EXPECT_TRUE(seen().empty());
}

TEST_F(ProgramDeploy, AnOwnerFileThatOthersCanReadIsExit2) {
  begin();
  ASSERT_EQ(::chmod((dir / "orchard.owner").c_str(), 0644), 0);
  const auto a = deploy_as_owner();
  EXPECT_EQ(a.code, 2);
  EXPECT_TRUE(contains(a.err, "chmod 600")) << a.err;
}

TEST_F(ProgramDeploy, APlanShowsWhereAndWhatItSurvives) {
  degraded = true;
  begin();
  const auto a = banyan({"plan", "ledger.toml"});
  EXPECT_EQ(a.code, 0) << a.err;
  EXPECT_TRUE(contains(a.out, "(eu)")) << a.out;
  EXPECT_TRUE(contains(a.out, "survives 1 failed node")) << a.out;
  EXPECT_TRUE(contains(a.err, "degraded"));
  const auto json = banyan({"plan", "ledger.toml", "--json"});
  EXPECT_TRUE(contains(json.out, "\"survives\":1")) << json.out;
}

} // namespace
} // namespace banyan::cli
