#include "plugins/bgp-anycast/platform.hpp"

#include "plugins/bgp-anycast/local_path.hpp"

namespace nett::anycast {

Platform real_platform(const Host& host) {
    return {open_tun, put_local_path, remove_local_path,
            [io = host.io](const CheckSettings& check, const Address6& anycast) {
                return check.type == CheckType::kExec ? make_exec_probe(io, check, anycast)
                                                      : make_network_probe(io, check, anycast);
            }};
}

}  // namespace nett::anycast
