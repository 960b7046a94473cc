#include "plugins/redfish/image.hpp"

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "agent/sdk/strings.hpp"
#include "plugins/redfish/json.hpp"

namespace nett::redfish {
namespace {

constexpr unsigned kHostLength = 128;

std::string& url_of(JobImage& image, std::string_view url) {
    return to_lower(url.substr(0, 6)) == "https:" ? image.https : image.http;
}

// "http://[…]/m/<token>/<name>.iso" → its token, or empty.
std::string_view token_of(std::string_view url) {
    const auto begin = url.find("/m/");
    if (begin == std::string_view::npos) return {};
    const auto token = url.substr(begin + 3);
    return token.substr(0, token.find('/'));
}

Result<ImageOrder> order_grants(const ImageSettings& settings, const ImageRequest& request, const std::string& file) {
    ImageOrder order;
    for (const std::string& listener : settings.listeners) {
        MediaGrant grant;
        grant.job = request.job;
        grant.machine = request.machine;
        grant.file = file;
        grant.sources.emplace_back(request.bmc, kHostLength);
        grant.expires = request.expires;
        auto issue = issue_media(listener, std::move(grant));
        if (!issue) return fail(std::move(issue.error()));
        url_of(order.image, issue->url) = std::move(issue->url);
        order.grants.push_back(std::move(issue->grant));
    }
    return order;
}

}  // namespace

std::string encode(const JobImage& image) {
    boost::json::object object;
    object["http"] = image.http;
    object["https"] = image.https;
    return boost::json::serialize(object);
}

Result<JobImage> decode_image(std::string_view text) {
    auto object = parse_object(text);
    if (!object) return fail(std::move(object.error()));
    return JobImage{text_at(*object, {"http"}), text_at(*object, {"https"})};
}

Result<ImageOrder> order_image(const ImageSettings& settings, const ImageRequest& request) {
    const auto tenants = settings.tenant_files.find(request.tenant);
    const std::string& file = tenants == settings.tenant_files.end() ? settings.file : tenants->second;
    if (request.asked.empty() && !file.empty() && !settings.listeners.empty()) {
        return order_grants(settings, request, file);
    }
    const std::string& url = request.asked.empty() ? settings.url : request.asked;
    if (url.empty()) {
        return fail(
            Code::kInvalidArgument,
            "there is no image for machine \"{}\": plugin redfish has neither \"media-listener\" with \"image\" "
            "nor \"image-url\", and the job names no image-url",
            request.machine);
    }
    NETT_TRY(check_image_url(url));
    ImageOrder order;
    url_of(order.image, url) = url;
    return order;
}

std::vector<std::string> grant_keys(const JobImage& image) {
    std::vector<std::string> keys;
    for (const std::string& url : {image.http, image.https}) {
        if (auto key = media_key(token_of(url))) keys.push_back(std::move(*key));
    }
    return keys;
}

}  // namespace nett::redfish
