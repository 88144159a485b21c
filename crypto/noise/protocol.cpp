#include "crypto/noise/protocol.hpp"

#include <array>

namespace banyan::noise {
namespace {

struct pattern_text {
  std::string_view name;
  std::string_view initiator_pre;
  std::string_view responder_pre;
  std::string_view messages; ///< tokens, `;` between messages
};

// Sections 7.4 (one-way), 7.5 (interactive) and appendix 18.1 (deferred).
constexpr pattern_text patterns[] = {
    {"N", "", "s", "e es"},
    {"K", "s", "s", "e es ss"},
    {"X", "", "s", "e es s ss"},

    {"NN", "", "", "e; e ee"},
    {"NK", "", "s", "e es; e ee"},
    {"NX", "", "", "e; e ee s es"},
    {"KN", "s", "", "e; e ee se"},
    {"KK", "s", "s", "e es ss; e ee se"},
    {"KX", "s", "", "e; e ee se s es"},
    {"XN", "", "", "e; e ee; s se"},
    {"XK", "", "s", "e es; e ee; s se"},
    {"XX", "", "", "e; e ee s es; s se"},
    {"IN", "", "", "e s; e ee se"},
    {"IK", "", "s", "e es s ss; e ee se"},
    {"IX", "", "", "e s; e ee se s es"},

    {"NK1", "", "s", "e; e ee es"},
    {"NX1", "", "", "e; e ee s; es"},
    {"X1N", "", "", "e; e ee; s; se"},
    {"X1K", "", "s", "e es; e ee; s; se"},
    {"XK1", "", "s", "e; e ee es; s se"},
    {"X1K1", "", "s", "e; e ee es; s; se"},
    {"X1X", "", "", "e; e ee s es; s; se"},
    {"XX1", "", "", "e; e ee s; es s se"},
    {"X1X1", "", "", "e; e ee s; es s; se"},
    {"K1N", "s", "", "e; e ee; se"},
    {"K1K", "s", "s", "e es; e ee; se"},
    {"KK1", "s", "s", "e; e ee se es"},
    {"K1K1", "s", "s", "e; e ee es; se"},
    {"K1X", "s", "", "e; e ee s es; se"},
    {"KX1", "s", "", "e; e ee se s; es"},
    {"K1X1", "s", "", "e; e ee s; se es"},
    {"I1N", "", "", "e s; e ee; se"},
    {"I1K", "", "s", "e es s; e ee; se"},
    {"IK1", "", "s", "e s; e ee se es"},
    {"I1K1", "", "s", "e s; e ee es; se"},
    {"I1X", "", "", "e s; e ee s es; se"},
    {"IX1", "", "", "e s; e ee se s; es"},
    {"I1X1", "", "", "e s; e ee s; se es"},
};

/// Takes the text up to `separator`, or all, and the separator with it.
std::string_view take_until(std::string_view& text, char separator) {
  const auto at = text.find(separator);
  const auto out = text.substr(0, at);
  text.remove_prefix(at == std::string_view::npos ? text.size() : at + 1);
  return out;
}

token token_of(std::string_view name) {
  constexpr std::pair<std::string_view, token> names[] = {
      {"e", token::e},   {"s", token::s},   {"ee", token::ee},
      {"es", token::es}, {"se", token::se}, {"ss", token::ss}};
  for (const auto& [text, t] : names)
    if (text == name)
      return t;
  const bool in_the_table = false;
  BANYAN_ASSERT(in_the_table);
  return token::e;
}

std::vector<token> tokens_of(std::string_view text) {
  std::vector<token> out;
  while (!text.empty())
    if (const auto name = take_until(text, ' '); !name.empty())
      out.push_back(token_of(name));
  return out;
}

pattern build(const pattern_text& text) {
  pattern out;
  out.initiator_pre = tokens_of(text.initiator_pre);
  out.responder_pre = tokens_of(text.responder_pre);
  auto rest = text.messages;
  bool from_initiator = true;
  while (!rest.empty()) {
    out.messages.push_back({from_initiator, tokens_of(take_until(rest, ';'))});
    from_initiator = !from_initiator;
  }
  out.one_way = out.messages.size() == 1;
  return out;
}

/// Section 9: `psk0` goes before the first message's tokens, `pskN` behind the
/// N-th message's.
bool add_psk(pattern& p, char digit) {
  if (digit < '0' || digit > '9')
    return false;
  const auto at = static_cast<std::size_t>(digit - '0');
  if (at > p.messages.size())
    return false;
  auto& tokens = p.messages[at == 0 ? 0 : at - 1].tokens;
  tokens.insert(at == 0 ? tokens.begin() : tokens.end(), token::psk);
  ++p.psks;
  return true;
}

/// Section 10.2: the first message becomes something known beforehand, and the
/// responder speaks first.
bool make_fallback(pattern& p) {
  if (p.one_way || p.psks > 0)
    return false;
  for (auto t : p.messages[0].tokens) {
    if (t != token::e && t != token::s)
      return false;
    p.initiator_pre.push_back(t);
  }
  p.messages.erase(p.messages.begin());
  return true;
}

bool modify(pattern& p, std::string_view modifier) {
  if (modifier == "fallback")
    return make_fallback(p);
  return modifier.size() == 4 && modifier.substr(0, 3) == "psk"
         && add_psk(p, modifier[3]);
}

const hash_function* hash_named(std::string_view name,
                                const hash_function* extra) {
  for (const auto* h : {&sha256, &sha512, &blake2b, extra})
    if (h != nullptr && h->name == name)
      return h;
  return nullptr;
}

} // namespace

std::optional<pattern> pattern::parse(std::string_view name) {
  std::size_t split = 0;
  while (split < name.size() && (name[split] < 'a' || name[split] > 'z'))
    ++split;
  const auto base = name.substr(0, split);
  auto modifiers = name.substr(split);
  for (const auto& text : patterns) {
    if (text.name != base)
      continue;
    auto out = build(text);
    while (!modifiers.empty())
      if (!modify(out, take_until(modifiers, '+')))
        return std::nullopt;
    return out;
  }
  return std::nullopt;
}

std::optional<protocol> protocol::parse(std::string_view name,
                                        const hash_function* extra_hash) {
  auto rest = name;
  if (take_until(rest, '_') != "Noise")
    return std::nullopt;
  auto p = pattern::parse(take_until(rest, '_'));
  if (!p || take_until(rest, '_') != "25519")
    return std::nullopt;
  protocol out;
  out.name = name;
  out.pattern = std::move(*p);
  const auto cipher = take_until(rest, '_');
  out.cipher = cipher == chacha_poly.name ? &chacha_poly
               : cipher == aes_gcm.name   ? &aes_gcm
                                          : nullptr;
  out.hash = hash_named(rest, extra_hash);
  if (out.cipher == nullptr || out.hash == nullptr)
    return std::nullopt;
  return out;
}

const protocol& link_protocol() {
  static const protocol p = [] {
    auto parsed = protocol::parse(link_protocol_name);
    BANYAN_ASSERT(parsed.has_value());
    return std::move(*parsed);
  }();
  return p;
}

} // namespace banyan::noise
