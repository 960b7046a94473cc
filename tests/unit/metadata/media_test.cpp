#include "plugins/metadata/media.hpp"

#include <gtest/gtest.h>

#include "plugins/metadata/limits.hpp"
#include "plugins/metadata/media_settings.hpp"
#include "tests/unit/metadata/service_fixture.hpp"
#include "tests/unit/metadata/settings_lines.hpp"

namespace nett::metadata::test {
namespace {

using namespace std::chrono_literals;

class MediaTest : public testing::Test {
protected:
    MediaTest() {
        std::filesystem::create_directories(directory_);
        write_image("image bytes");
        MediaSettings settings;
        settings.directory = directory_;
        settings.allow = {*Prefix6::parse("2001:db8:bc::/64")};
        service_.set_settings(settings);
        issue();
    }
    ~MediaTest() override { std::filesystem::remove_all(directory_); }

    void write_image(const std::string& bytes) const { std::ofstream(path()) << bytes; }
    std::string path() const { return directory_ + "/tenant-a.iso"; }

    MediaGrant grant() const {
        MediaGrant out;
        out.job = "7";
        out.machine = "node-1";
        out.file = path();
        out.sha256 = sha256_hex("image bytes");
        out.sources = {*Prefix6::parse("2001:db8:bc::b/128")};
        out.expires = clock_.system_now() + 10min;
        return out;
    }
    void issue() { issue(grant()); }
    void issue(MediaGrant wanted) {
        auto issued = issue_media("https://[2001:db8::1]:8443", std::move(wanted)).value();
        store_.put(put_of(issued.grant));
        target_ = issued.url.substr(std::string("https://[2001:db8::1]:8443").size());
        key_ = issued.grant.token_sha256;
    }
    Response ask(Request request, const std::string& source = "2001:db8:bc::b") {
        Peer peer;
        peer.source = boost::asio::ip::make_address_v6(source);
        Conversation conversation;
        return run(context_, service_.handle(std::move(request), peer, conversation));
    }
    Response get(const std::string& target) { return ask({Method::kGet, target}); }
    std::string token() const { return target_.substr(3, 32); }

    asio::io_context context_;
    std::string directory_ =
        testing::TempDir() + "media-" + testing::UnitTest::GetInstance()->current_test_info()->name();
    nett::test::MemoryStore store_;
    EventList events_;
    ManualClock clock_;
    MediaLedger ledger_;
    MediaService service_{store_, events_, clock_, ledger_};
    std::string target_;
    std::string key_;
};

// What everybody gets who is not to get the image.
void expect_refused(const Response& response) {
    EXPECT_EQ(response.status, 404U);
    EXPECT_EQ(response.body, "not found\n");
    EXPECT_EQ(response.etag, "");
    EXPECT_FALSE(response.file);
    EXPECT_FALSE(response.accept_ranges);
}

TEST_F(MediaTest, ServesTheImageToTheJobsBmc) {
    const auto response = get(target_);
    EXPECT_EQ(response.status, 200U);
    EXPECT_EQ(response.etag, sha256_hex("image bytes"));
    EXPECT_EQ(response.content_length(), 11U);
    EXPECT_TRUE(response.accept_ranges);
    Request part{Method::kGet, target_};
    part.range = "bytes=6-";
    EXPECT_EQ(ask(part).status, 206U);
    EXPECT_EQ(ask({Method::kHead, target_}).status, 200U);
}

TEST_F(MediaTest, EverythingElseIsTheSame404) {
    const std::string other(32, '0');
    for (const auto& target :
         {std::string("/"), std::string("/m/"), "/m/" + token(), "/m/" + token() + "/", "/m/" + token() + "/other.iso",
          "/m/" + other + "/tenant-a.iso", target_ + "/", target_ + "?x", "/m/" + token() + "/../tenant-a.iso",
          "/m/" + token() + "/%74enant-a.iso", "/" + target_, std::string("/v1/config/52-54-00-12-34-56"),
          "/m/" + token() + "/tenant-a.img", "http://x" + target_}) {
        expect_refused(get(target));
    }
    expect_refused(ask({Method::kGet, target_}, "2001:db8:bc::c"));  // in the configured prefix, not in the grant's
    EXPECT_TRUE(events_.has("media.refused"));
}

TEST_F(MediaTest, ASourceMustBeInTheConfiguredPrefixesToo) {
    auto wide = grant();
    wide.sources = {*Prefix6::parse("2001:db8::/32")};
    issue(wide);
    expect_refused(ask({Method::kGet, target_}, "2001:db8:a::b"));
    EXPECT_EQ(ask({Method::kGet, target_}, "2001:db8:bc::77").status, 200U);
}

TEST_F(MediaTest, AGrantWithoutSourcesIsNobodys) {
    auto closed = grant();
    closed.sources.clear();
    issue(closed);
    expect_refused(get(target_));
}

TEST_F(MediaTest, AGrantEnds) {
    clock_.advance(10min - 1s);
    EXPECT_EQ(get(target_).status, 200U);
    clock_.advance(1s);
    expect_refused(get(target_));
}

TEST_F(MediaTest, NothingOutsideTheDirectoryIsServedWhateverTheGrantSays) {
    const auto outside = testing::TempDir() + "outside.iso";
    std::ofstream(outside) << "secret";
    for (const auto& file : {outside, directory_ + "/../" + std::filesystem::path(outside).filename().string()}) {
        auto wrong = grant();
        wrong.file = file;
        wrong.sha256.clear();
        issue(wrong);
        expect_refused(get(target_));
    }
    std::filesystem::create_symlink(outside, directory_ + "/link.iso");
    auto linked = grant();
    linked.file = directory_ + "/link.iso";
    linked.sha256.clear();
    issue(linked);
    expect_refused(get(target_));
    std::filesystem::remove(outside);
}

TEST_F(MediaTest, AnImageThatChangedSinceTheJobWasMadeIsNotServed) {
    EXPECT_EQ(get(target_).status, 200U);
    std::filesystem::remove(path());
    write_image("other bytes");
    expect_refused(get(target_));
    EXPECT_TRUE(events_.has("media.error"));
    std::filesystem::remove(path());
    expect_refused(get(target_));
}

TEST_F(MediaTest, ADamagedImageIsNotServedEvenAtItsFirstFetch) {
    std::ofstream(path() + ".sha256") << sha256_hex("image bytes") << "  tenant-a.iso\n";
    auto plain = grant();
    plain.sha256.clear();
    issue(plain);
    write_image("imagE bytes");
    expect_refused(get(target_));
    EXPECT_TRUE(events_.has("media.error"));
    write_image("image bytes");
    EXPECT_EQ(get(target_).status, 200U);
}

TEST_F(MediaTest, AJobWithoutADigestIsHeldToItsFirstFetch) {
    auto any = grant();
    any.sha256.clear();
    issue(any);
    EXPECT_EQ(get(target_).status, 200U);
    const auto pinned = decode<MediaGrant>(store_.get(kMediaGrantKind, key_).value()->value).value();
    EXPECT_EQ(pinned.sha256, sha256_hex("image bytes"));
    EXPECT_EQ(get(target_).status, 200U);
    std::filesystem::remove(path());
    write_image("image bytez");
    expect_refused(get(target_));
}

// Reading is done in slices, so the turns that a request takes tell whether it read.
TEST_F(MediaTest, AnImageIsReadAgainAfterAnHour) {
    const std::string large(3 * kMediaDigestChunk, 'x');
    write_image(large);
    auto wanted = grant();
    wanted.sha256 = sha256_hex(large);
    wanted.expires = clock_.system_now() + 2h;
    issue(wanted);
    const auto turns = [this] {
        Peer peer;
        peer.source = boost::asio::ip::make_address_v6("2001:db8:bc::b");
        Conversation conversation;
        Request request{Method::kGet, target_};
        asio::co_spawn(context_, service_.handle(std::move(request), peer, conversation),
                       [](std::exception_ptr, const Response& response) { EXPECT_EQ(response.status, 200U); });
        context_.restart();
        return context_.run();
    };
    const auto reading = turns();
    const auto knowing = turns();
    EXPECT_LT(knowing, reading);
    clock_.advance(kMediaDigestAge - 1min);
    EXPECT_EQ(turns(), knowing);
    clock_.advance(1min);
    EXPECT_EQ(turns(), reading);
}

TEST_F(MediaTest, CountsWhatWasSentAndTellsTheJob) {
    auto response = get(target_);
    ASSERT_TRUE(response.on_sent);
    response.on_sent({0, 5});
    EXPECT_TRUE(events_.has("media.fetched"));
    EXPECT_FALSE(events_.has("media.complete"));
    response.on_sent({5, 6});
    EXPECT_TRUE(events_.has("media.complete"));
    EXPECT_EQ(events_.events.back().subject, "7");
    EXPECT_EQ(events_.events.back().fields.at("machine"), "node-1");
    const auto use = ledger_.all().at(0);
    EXPECT_EQ(use.token_sha256, key_);
    EXPECT_EQ(use.requests, 1U);
    EXPECT_EQ(use.bytes, 11U);
    EXPECT_TRUE(use.complete);
}

TEST_F(MediaTest, NoEventOrLineCarriesTheToken) {
    get(target_).on_sent({0, 11});
    ask({Method::kGet, target_}, "2001:db8:bc::c");
    std::filesystem::remove(path());
    get(target_);
    ASSERT_GE(events_.events.size(), 3U);
    for (const auto& event : events_.events) {
        EXPECT_EQ((event.subject + event.message).find(token()), std::string::npos);
        for (const auto& [name, value] : event.fields) EXPECT_EQ(value.find(token()), std::string::npos) << name;
    }
}

TEST_F(MediaTest, OnlyGetAndHead) {
    EXPECT_EQ(ask({Method::kOther, target_}).status, 405U);
    EXPECT_EQ(ask({Method::kOther, "/"}).status, 405U);
}

std::vector<std::string> findings(const std::vector<Line>& lines) {
    return texts_of(validate_media(plugin_entry(lines)));
}

TEST(MediaSettings, IsOffWithoutAListener) {
    EXPECT_TRUE(findings({}).empty());
    EXPECT_TRUE(media_settings_of(plugin_entry({}).children()).http.empty());
}

TEST(MediaSettings, ReadsItsCommands) {
    const std::vector<Line> lines{{"media listen", {{"endpoint", "[2001:db8::1]:8080"}, {"scheme", "http"}}},
                                  {"media listen", {{"endpoint", "[2001:db8::1]:8443"}, {"scheme", "https"}}},
                                  {"media directory", {{"path", "/tmp"}}},
                                  {"media allow", {{"prefix", "2001:db8:bc::/64"}}}};
    EXPECT_EQ(findings(lines), std::vector<std::string>{});
    const auto settings = media_settings_of(plugin_entry(lines).children());
    ASSERT_EQ(settings.http.size(), 1U);
    ASSERT_EQ(settings.https.size(), 1U);
    EXPECT_EQ(settings.https[0].port(), 8443);
    EXPECT_EQ(settings.directory, "/tmp");
    EXPECT_EQ(settings.allow, std::vector<Prefix6>{*Prefix6::parse("2001:db8:bc::/64")});
}

TEST(MediaSettings, SaysWhatIsMissingOrTaken) {
    const auto found = findings({{"listen", {{"endpoint", "[2001:db8::1]:443"}}},
                                 {"media listen", {{"endpoint", "[2001:db8::1]:443"}, {"scheme", "https"}}}});
    ASSERT_EQ(found.size(), 3U);
    EXPECT_NE(found[0].find("the machines' own listener has this address"), std::string::npos);
    EXPECT_NE(found[1].find("\"media directory\" is missing"), std::string::npos);
    EXPECT_NE(found[2].find("\"media allow\" is missing"), std::string::npos);
}

}  // namespace
}  // namespace nett::metadata::test
