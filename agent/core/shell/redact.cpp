#include "agent/core/shell/redact.hpp"

#include <re2/re2.h>

namespace nett {

namespace {

constexpr const char* kMark = "[redacted]";

// What a name may say of its value.
constexpr const char* kSecretName = "(?:passwo?r?d|passwd|passphrase|secret|token|credential|authorization|cookie|psk)";
// A value that is none: a path, a number, yes or no, a digest (its name ends in sha256), nothing.
constexpr const char* kPlain = R"re(^(?:/|\[redacted\]|[0-9]+$|yes$|no$|true$|false$|null$|-$|$))re";

struct Patterns {
    RE2 private_key{"(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----"};
    RE2 url_user{R"re(([a-z][a-z0-9+.-]*://)[^/\s"'@]+@)re"};
    RE2 bearer{R"re((?i)\b(bearer|basic) +[A-Za-z0-9._~+/=-]{8,})re"};
    // name, separator with quotes, value
    RE2 assigned{std::string(R"re((?i)([\w.-]*)re") + kSecretName + R"re([\w.-]*"?\s*[=:]\s*"?)([^\s",&}]*))re"};
    // a configuration line: "… password hunter2"
    RE2 configured{std::string(R"re((?im)^( *(?:[+-] )?(?:\S+ )*[\w.-]*)re") + kSecretName + R"re([\w.-]* )(\S+)$)re"};
    // base64url of 30 bytes and more; a digest in hex has no capitals besides
    RE2 random_word{R"re(([A-Za-z0-9_-]{40,}={0,2}))re"};
    RE2 plain{kPlain};
    RE2 digest_name{R"re((?i)sha256"?\s*[=:]\s*"?$)re"};
};

const Patterns& patterns() {
    static const Patterns kPatterns;
    return kPatterns;
}

// Replaces the second group of every match unless it is plain.
std::string redact_values(std::string_view text, const RE2& pattern) {
    const auto& p = patterns();
    std::string out;
    re2::StringPiece rest(text.data(), text.size());
    re2::StringPiece name;
    re2::StringPiece value;
    const char* copied = text.data();
    while (RE2::FindAndConsume(&rest, pattern, &name, &value)) {
        if (RE2::PartialMatch(value, p.plain) || RE2::PartialMatch(name, p.digest_name)) continue;
        out.append(copied, value.data());
        out += kMark;
        copied = value.data() + value.size();
    }
    out.append(copied, text.data() + text.size());
    return out;
}

std::string redact_random_words(std::string_view text) {
    const auto& p = patterns();
    std::string out;
    re2::StringPiece rest(text.data(), text.size());
    re2::StringPiece word;
    const char* copied = text.data();
    while (RE2::FindAndConsume(&rest, p.random_word, &word)) {
        const bool letters =
            RE2::PartialMatch(word, "[A-Z]") && RE2::PartialMatch(word, "[a-z]") && RE2::PartialMatch(word, "[0-9]");
        if (!letters) continue;
        out.append(copied, word.data());
        out += kMark;
        copied = word.data() + word.size();
    }
    out.append(copied, text.data() + text.size());
    return out;
}

}  // namespace

std::string redact_secrets(std::string_view text) {
    const auto& p = patterns();
    std::string out(text);
    RE2::GlobalReplace(&out, p.private_key, kMark);
    RE2::GlobalReplace(&out, p.url_user, R"(\1[redacted]@)");
    RE2::GlobalReplace(&out, p.bearer, R"(\1 [redacted])");
    out = redact_values(out, p.assigned);
    out = redact_values(out, p.configured);
    return redact_random_words(out);
}

}  // namespace nett
