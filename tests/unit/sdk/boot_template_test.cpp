#include "agent/sdk/boot_template.hpp"

#include <algorithm>
#include <random>

#include <gtest/gtest.h>

namespace nett {
namespace {

constexpr std::string_view kInstall =
    "#!ipxe\n"
    "kernel {{{artifacts}}}/{{{kernel}}} {{{arguments}}}{{#prefix}} nett.prefix={{prefix}}{{/prefix}}\n"
    "{{^embedded}}echo none\n{{/embedded}}{{#embedded}}initrd {{config}}/config.sqsh /node-config.sqsh\n{{/embedded}}"
    "{{! booted\n at last }}boot\n";

BootTemplateValues values() {
    BootTemplateValues out;
    out.texts = {{"artifacts", "https://[2001:db8::1]:8443/v1/artifacts/s"},
                 {"kernel", "vmlinuz"},
                 {"arguments", "talos.platform=metal console=ttyS0,115200"},
                 {"config", "https://[2001:db8::1]:8443/v1/config/52-54-00-12-34-56"}};
    return out;
}

std::string why_refused(std::string_view kind, std::string_view text) {
    const auto checked = check_boot_template(kind, text);
    return checked ? "" : checked.error().message;
}

TEST(BootTemplate, RendersValuesAndSections) {
    auto given = values();
    EXPECT_EQ(render_boot_template(kInstall, given).value(),
              "#!ipxe\n"
              "kernel https://[2001:db8::1]:8443/v1/artifacts/s/vmlinuz talos.platform=metal console=ttyS0,115200\n"
              "echo none\nboot\n");
    given.flags = {"embedded"};
    given.texts["prefix"] = "2001:db8:17::/64";
    EXPECT_EQ(render_boot_template(kInstall, given).value(),
              "#!ipxe\n"
              "kernel https://[2001:db8::1]:8443/v1/artifacts/s/vmlinuz talos.platform=metal console=ttyS0,115200 "
              "nett.prefix=2001:db8:17::/64\n"
              "initrd https://[2001:db8::1]:8443/v1/config/52-54-00-12-34-56/config.sqsh /node-config.sqsh\nboot\n");
}

TEST(BootTemplate, NamesTheLineOfAValueThatAScriptCannotCarry) {
    for (const auto* bad : {"a\nshell", "a\rshell", "${net0/mac}", "a\"b", "a'b", "a;b", "a||b", "a b", "-x", "#",
                            "a\tb", "a\\", "é", "a&b", "{{kernel}}", "a<b"}) {
        auto given = values();
        given.texts["serial"] = bad;
        const auto refused = render_boot_template("#!ipxe\necho hello\necho {{serial}}\n", given);
        ASSERT_FALSE(refused) << bad;
        EXPECT_TRUE(refused.error().message.starts_with("line 3: the value of \"serial\" has a character"))
            << refused.error().message;
        EXPECT_EQ(refused.error().message.find(bad == std::string("-x") ? "-x" : "shell"), std::string::npos);
    }
}

TEST(BootTemplate, AnUnusableValueMattersOnlyWhereItIsUsed) {
    auto given = values();
    given.texts["serial"] = "To be filled by O.E.M.";
    EXPECT_TRUE(render_boot_template(kInstall, given));
    given.texts["arguments"] = "a  b";  // an empty word
    EXPECT_FALSE(render_boot_template(kInstall, given));
}

// Whatever bytes a value has: the script has the template's lines, or there is none.
TEST(BootTemplate, NoValueAddsALineOrAnExpansion) {
    std::mt19937 random(7);
    std::uniform_int_distribution<int> byte(0, 255);
    std::uniform_int_distribution<std::size_t> length(0, 6);
    constexpr std::string_view kPool = "\n\r\t $%{}[]\"'\\;|&#<>`^-=a1";
    std::uniform_int_distribution<std::size_t> pick(0, kPool.size() - 1);
    const std::string text = "#!ipxe\nset a {{serial}}\nkernel {{kernel}} {{arguments}}\nboot\n";
    constexpr std::size_t kAfterFirstLine = 7;
    int rendered = 0;
    for (int round = 0; round < 20000; ++round) {
        BootTemplateValues given;
        for (const auto* name : {"serial", "kernel", "arguments"}) {
            std::string value;
            for (auto i = length(random); i > 0; --i) {
                value += round % 2 == 0 ? static_cast<char>(byte(random)) : kPool[pick(random)];
            }
            given.texts[name] = value;
        }
        const auto script = render_boot_template(text, given);
        if (!script) continue;
        ++rendered;
        EXPECT_EQ(std::count(script->begin(), script->end(), '\n'), 4) << *script;
        EXPECT_EQ(script->find_first_of("$\"'\\;|&#<>`^{}\r\t", kAfterFirstLine), std::string::npos) << *script;
        const auto words_of_set =
            script->substr(script->find("set a"), script->find("\nkernel") - script->find("set a"));
        EXPECT_LE(std::count(words_of_set.begin(), words_of_set.end(), ' '), 2);
    }
    EXPECT_GT(rendered, 100);
}

TEST(BootTemplate, AcceptsAUsefulTemplateOfEachKind) {
    EXPECT_EQ(why_refused("install", kInstall), "");
    EXPECT_EQ(why_refused("wipe", kInstall), "");
    EXPECT_EQ(why_refused("rescue", "#!ipxe\nsanboot {{artifacts}}/rescue.iso\n"), "");
    EXPECT_EQ(why_refused("erase", "#!ipxe\nkernel ${cwuri}/k ${net0/mac:hexhyp}\nboot || shell\n"), "");
}

TEST(BootTemplate, RefusesABadOneWithItsLine) {
    EXPECT_EQ(why_refused("boot", kInstall), "\"boot\" is not a kind of boot; kinds are install, wipe, rescue, erase");
    EXPECT_EQ(why_refused("rescue", "#!ipxe \nboot\n"),
              "line 1: a script begins with \"#!ipxe\" and nothing else in that line");
    EXPECT_EQ(why_refused("rescue", "#!ipxe\nboot\r\n"),
              "line 2: other than printable ASCII; iPXE reads nothing else, and ends lines with LF alone");
    EXPECT_EQ(why_refused("rescue", "#!ipxe\n\necho \xc3\xa9\n"),
              "line 3: other than printable ASCII; iPXE reads nothing else");
    EXPECT_EQ(why_refused("rescue", "#!ipxe\necho {{hostname}}\n"),
              "line 2: there is no value \"hostname\"; there are " + boot_template_names());
    EXPECT_EQ(why_refused("rescue", "#!ipxe\n\n{{#token}}\nboot\n"),
              "line 3: the section \"token\" is not closed; add {{/token}}");
    EXPECT_EQ(why_refused("rescue", "#!ipxe\n{{#token}}{{#url}}\n{{/token}}{{/url}}\n"),
              "line 3: {{/token}} closes nothing that is open here");
    EXPECT_EQ(why_refused("rescue", "#!ipxe\necho {{serial\nboot\n"), "line 2: a tag without its \"}}\"");
    EXPECT_EQ(why_refused("rescue", "#!ipxe\necho {{{serial}}\nboot\n"), "line 2: a tag without its \"}}}\"");
    EXPECT_EQ(why_refused("rescue", "#!ipxe\n{{> other}}\n"),
              "line 2: partials and other delimiters are not supported; write the text out");
    EXPECT_EQ(why_refused("rescue", "#!ipxe\n{{=<% %>=}}\n"),
              "line 2: partials and other delimiters are not supported; write the text out");
    EXPECT_EQ(why_refused("rescue", "#!ipxe\necho {{token}}\n"),
              "line 2: \"token\" is a flag; write {{#token}}…{{/token}}");
    EXPECT_EQ(why_refused("install", "#!ipxe\nkernel {{kernel}}\nboot\n"),
              "the install template does not use {{{arguments}}}; put it at the end of the kernel line");
    EXPECT_EQ(why_refused("install", "#!ipxe\nkernel k {{arguments}} talos.experimental.wipe=system\n"),
              "line 2: \"talos.experimental.wipe\" is part of {{{arguments}}} when it is due; remove it");
    const auto large = why_refused("rescue", "#!ipxe\n" + std::string(kMaxBootTemplateBytes, ' '));
    EXPECT_TRUE(large.starts_with("the template has 16391 bytes, at most 16384")) << large;
}

}  // namespace
}  // namespace nett
