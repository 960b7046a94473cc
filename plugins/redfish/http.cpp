#include "plugins/redfish/http.hpp"

namespace nett::redfish {

std::string_view to_string(Method method) {
    switch (method) {
        case Method::kPost:
            return "POST";
        case Method::kPatch:
            return "PATCH";
        case Method::kDelete:
            return "DELETE";
        case Method::kGet:
            break;
    }
    return "GET";
}

}  // namespace nett::redfish
